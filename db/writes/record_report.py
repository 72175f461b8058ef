"""The statement for a batch of device reports, by request or by MQTT."""

REPORT = """
WITH given AS (SELECT * FROM {given}), locked AS MATERIALIZED (
    SELECT g.*, d.owner_id, d.number FROM devices d JOIN given g USING (id)
    WHERE d.topic = g.topic AND d.config_version = g.version
        AND d.applied_version IS NOT DISTINCT FROM g.old_version
        AND d.applied_error IS NOT DISTINCT FROM g.old_error
        AND d.sensor_model IS NOT DISTINCT FROM g.old_sensor_model
        AND d.firmware IS NOT DISTINCT FROM g.old_firmware
    ORDER BY d.id FOR NO KEY UPDATE OF d SKIP LOCKED
), left_topics AS (
    DELETE FROM former_topics f USING locked l WHERE l.arrived AND f.device_id = l.id
    RETURNING f.device_id, f.topic
), stale AS (
    INSERT INTO stale_topics (topic, device_id) SELECT topic, device_id FROM left_topics
    ON CONFLICT (topic) DO UPDATE SET since = now(), again_at = now(), cleared_at = NULL
), moved AS (
    SELECT device_id, jsonb_agg(topic) AS topics FROM left_topics GROUP BY device_id
), recorded AS (
    INSERT INTO events (kind, device_id, owner_id, actor, before, after)
    SELECT e.kind, l.id, l.owner_id, l.actor, e.before, e.after
    FROM locked l LEFT JOIN moved m ON m.device_id = l.id, LATERAL (VALUES
        (1, 'device_updated', l.hardware_before, l.hardware_after),
        (2, 'config_applied', l.applied_before, l.applied_after),
        (3, 'device_moved', jsonb_build_object('topics', m.topics),
            CASE WHEN m.topics IS NOT NULL THEN jsonb_build_object('topic', l.topic) END)
    ) AS e (place, kind, before, after)
    WHERE e.after IS NOT NULL ORDER BY l.number, e.place
)
UPDATE devices d SET applied_version = l.new_version, applied_error = l.new_error,
    applied_at = CASE WHEN l.applied_after IS NOT NULL AND l.new_error IS NULL THEN l.at
        ELSE d.applied_at END,
    sensor_model = l.new_sensor_model, firmware = l.new_firmware,
    search = CASE WHEN l.words IS NULL THEN d.search ELSE array_to_tsvector(l.words) END,
    updated_at = CASE WHEN l.hardware_after IS NULL THEN d.updated_at ELSE l.at END,
    last_seen_at = l.at
FROM locked l WHERE d.id = l.id RETURNING d.id, d.config_version
"""
