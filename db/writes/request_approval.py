"""The statement for a batch of requests for approval."""

# A request `r` as event data, as `request_facts` returns it.
REQUEST_FACTS = """jsonb_build_object('requestId', r.id::text, 'address', r.address,
            'keyId', r.key_id::text, 'sensorModel', r.sensor_model, 'firmware', r.firmware)"""
# The event of a foreign request belongs to no owner, so only people without an owner see it.
REQUEST = f"""
WITH given AS (SELECT * FROM {{given}}), locked AS MATERIALIZED (
    SELECT g.*, d.owner_id, d.number FROM devices d JOIN given g USING (id)
    WHERE d.access_revision = g.access_revision
    ORDER BY d.id FOR NO KEY UPDATE OF d SKIP LOCKED
), repeated AS (
    UPDATE enrolment_requests r SET times_asked = r.times_asked + 1, last_asked_at = l.at,
        sensor_model = l.sensor_model, firmware = l.firmware
    FROM locked l WHERE r.id = l.repeats AND r.device_id = l.id
    RETURNING r.token_id, l.hash, l.mqtt_hash, l.at
), replaced AS (
    UPDATE tokens t SET hash = r.hash, mqtt_hash = r.mqtt_hash, created_at = r.at
    FROM repeated r WHERE t.id = r.token_id
), issued AS (
    INSERT INTO tokens
        (kind, hash, mqtt_hash, device_id, issued_by, waiting, created_at, created_by)
    SELECT 'device', hash, mqtt_hash, id, key_id, true, at, actor
    FROM locked WHERE repeats IS NULL
    RETURNING id AS token_id, device_id
), requested AS (
    INSERT INTO enrolment_requests (device_id, token_id, key_id, address, sensor_model, firmware,
        requested_at, last_asked_at, foreign_owner)
    SELECT id, token_id, key_id, address, sensor_model, firmware, at, at, foreign_owner
    FROM locked JOIN issued ON device_id = id
    RETURNING *
), recorded AS (
    INSERT INTO events (kind, device_id, owner_id, actor, after)
    SELECT 'enrolment_requested', l.id, CASE WHEN NOT r.foreign_owner THEN l.owner_id END, l.actor,
        {REQUEST_FACTS}
    FROM locked l JOIN requested r ON r.device_id = l.id ORDER BY l.number
)
UPDATE devices d SET access_revision = d.access_revision + 1,
    awaits_approval = d.awaits_approval OR NOT l.foreign_owner
FROM locked l WHERE d.id = l.id RETURNING d.id, d.number
"""  # noqa: S608  a constant
