"""The statement for a batch of config changes."""

CHANGE = """
WITH given AS (
    SELECT * FROM {given}
), locked AS (
    SELECT g.*, d.owner_id, d.interval_seconds, d.qos, d.config_updated_at, d.config_updated_by
    FROM devices d JOIN given g ON g.id = d.id AND g.version = d.config_version
    ORDER BY d.id FOR NO KEY UPDATE OF d SKIP LOCKED
), archived AS (
    INSERT INTO past_configs (device_id, version, interval_seconds, qos, updated_at, updated_by)
    SELECT id, version, interval_seconds, qos, config_updated_at, config_updated_by FROM locked
), recorded AS (
    INSERT INTO events (kind, device_id, owner_id, actor, before, after)
    SELECT 'config_changed', id, owner_id, actor, before, after FROM locked
)
UPDATE devices d SET config_version = l.version + 1, interval_seconds = l.new_interval,
    qos = l.new_qos, config_updated_at = l.at, config_updated_by = l.actor
FROM locked l WHERE d.id = l.id RETURNING d.id, d.config_version
"""
