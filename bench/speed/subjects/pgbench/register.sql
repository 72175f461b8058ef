-- The statement of one registration: a device, its token and its event, in a transaction.
\set mac random(1, 1000000000000000)
WITH created AS (
    INSERT INTO devices (id, owner_id, place_id, measurement_type_id, topic, latitude, longitude,
        sensor_model, firmware, state, config_version, interval_seconds, qos, config_updated_at,
        config_updated_by, last_seen_at, registered_at, updated_at, search)
    SELECT id, 7, 123, 32, 'owner-7/place-3/type-2/' || id, 48.85, 2.35, 'BME280', '1.0', 'active',
        1, 60, 1, now(), 'enrol:1', now(), now(), now(),
        array_to_tsvector(ARRAY[id, 'owner', '7', 'place', '3', 'type', '2', 'bme280'])
    FROM md5(:mac::text) AS id
    ON CONFLICT DO NOTHING RETURNING id, owner_id
), issued AS (
    INSERT INTO tokens (kind, hash, mqtt_hash, device_id, created_at, created_by)
    SELECT 'device', sha256(convert_to('rcd_' || id, 'UTF8')),
        '$7$1$' || repeat('x', 16) || '$' || repeat('x', 88), id, now(), 'enrol:1'
    FROM created
), recorded AS (
    INSERT INTO events (kind, device_id, owner_id, actor, after)
    SELECT 'device_registered', id, owner_id, 'enrol:1', jsonb_build_object(
        'owner', 'Owner 7', 'place', 'Place 3', 'measurementType', 'Type 2', 'latitude', 48.85,
        'longitude', 2.35, 'sensorModel', 'BME280', 'firmware', '1.0', 'state', 'active',
        'version', 1, 'intervalSeconds', 60, 'qos', 1)
    FROM created
)
SELECT id FROM created;
