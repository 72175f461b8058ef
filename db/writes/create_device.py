"""The statement for a batch of new devices with their first tokens."""

from db.writes.request_approval import REQUEST_FACTS

# Keys with a limit are locked before any device and in the order of ids, so that two batches can't
# deadlock. NOT EXISTS is needed in addition to ON CONFLICT: a statement that waits for a deletion
# of the device has read `deleted_devices` before it, and would insert the device at version 1.
CREATE = f"""
WITH given AS MATERIALIZED (SELECT * FROM {{given}}), keys AS MATERIALIZED (
    SELECT id, max_uses - uses AS uses_left FROM tokens
    WHERE revoked_at IS NULL AND id IN (SELECT counted_key FROM given)
    ORDER BY id FOR NO KEY UPDATE
), unknown AS MATERIALIZED (
    SELECT g.*, row_number() OVER (PARTITION BY g.counted_key ORDER BY g.id) AS nth
    FROM given g LEFT JOIN deleted_devices x ON x.device_id = g.id
    WHERE NOT EXISTS (SELECT FROM devices d WHERE d.id = g.id)
        AND g.config_version = coalesce(x.config_version, 0) + 1
), allowed AS MATERIALIZED (
    SELECT u.* FROM unknown u LEFT JOIN keys k ON k.id = u.counted_key
    WHERE u.counted_key IS NULL OR u.nth <= k.uses_left
), created AS (
    INSERT INTO devices (id, owner_id, place_id, measurement_type_id, topic, latitude, longitude,
        sensor_model, firmware, state, awaits_approval, config_version, interval_seconds, qos,
        config_updated_at, config_updated_by, last_seen_at, registered_at, updated_at, search)
    SELECT id, owner_id, place_id, measurement_type_id, topic, latitude, longitude,
        sensor_model, firmware, state, waiting, config_version, interval_seconds, qos,
        at, actor, last_seen_at, at, at, array_to_tsvector(words)
    FROM allowed ORDER BY id
    ON CONFLICT DO NOTHING RETURNING id, number
), issued AS (
    INSERT INTO tokens
        (kind, hash, mqtt_hash, device_id, issued_by, waiting, created_at, created_by)
    SELECT 'device', hash, mqtt_hash, id, issued_by, waiting, at, actor
    FROM allowed JOIN created USING (id)
    RETURNING id AS token_id, device_id
), requested AS (
    INSERT INTO enrolment_requests
        (device_id, token_id, key_id, address, sensor_model, firmware, requested_at, last_asked_at)
    SELECT id, token_id, issued_by, address, sensor_model, firmware, at, at
    FROM allowed JOIN issued ON device_id = id WHERE waiting
    RETURNING *
), counted AS (
    UPDATE tokens t SET uses = t.uses + c.uses
    FROM (
        SELECT counted_key, count(*) AS uses FROM allowed JOIN created USING (id)
        WHERE counted_key IS NOT NULL GROUP BY counted_key
    ) c
    WHERE t.id = c.counted_key
), reclaimed AS (
    DELETE FROM stale_topics s USING allowed a JOIN created USING (id)
    WHERE a.config_version > 1 AND s.topic = a.topic
), recorded AS (
    INSERT INTO events (kind, device_id, owner_id, actor, after)
    SELECT 'device_registered', a.id, a.owner_id, a.actor,
        CASE WHEN r.id IS NULL THEN a.facts ELSE a.facts || {REQUEST_FACTS} END
    FROM allowed a JOIN created c USING (id) LEFT JOIN requested r ON r.device_id = a.id
    ORDER BY c.number
)
SELECT id, number FROM created
"""  # noqa: S608  a constant
