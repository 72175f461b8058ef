"""Config changes, those of many requests in one statement."""

CHANGE = """
WITH given AS (
    SELECT * FROM {given}
), held AS (
    SELECT g.*, d.owner_id, d.interval_seconds, d.qos, d.config_updated_at, d.config_updated_by
    FROM devices d JOIN given g ON g.id = d.id AND g.version = d.config_version
    ORDER BY d.id FOR NO KEY UPDATE OF d SKIP LOCKED
), kept AS (
    INSERT INTO past_configs (device_id, version, interval_seconds, qos, updated_at, updated_by)
    SELECT id, version, interval_seconds, qos, config_updated_at, config_updated_by FROM held
), recorded AS (
    INSERT INTO events (kind, device_id, owner_id, actor, before, after)
    SELECT 'config_changed', id, owner_id, actor, before, after FROM held
)
UPDATE devices d SET config_version = h.version + 1, interval_seconds = h.new_interval,
    qos = h.new_qos, config_updated_at = h.at, config_updated_by = h.actor
FROM held h WHERE d.id = h.id RETURNING d.id, d.config_version
"""
