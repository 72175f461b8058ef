"""The statement for a batch of first uses of device tokens."""

# The MQTT session of a revoked token ends, perhaps without its will, so the device is set offline.
# Pending tokens stay: an administrator decides on their requests.
CONFIRM = """
WITH given AS (SELECT * FROM {given}), locked AS MATERIALIZED (
    SELECT g.*, d.owner_id, d.number FROM devices d JOIN given g USING (id)
    WHERE d.access_revision = g.access_revision
    ORDER BY d.id FOR NO KEY UPDATE OF d SKIP LOCKED
), confirmed AS (
    UPDATE tokens t SET confirmed_at = l.at, mqtt_hash = coalesce(t.mqtt_hash, l.mqtt_hash)
    FROM locked l
    WHERE t.id = l.token_id AND t.hash = l.hash AND t.device_id = l.id
        AND t.confirmed_at IS NULL AND t.revoked_at IS NULL AND NOT t.waiting
    RETURNING l.id, l.token_id, l.owner_id, l.number, l.actor, l.at
), revoked AS (
    UPDATE tokens t SET revoked_at = c.at FROM confirmed c
    WHERE t.device_id = c.id AND t.id <> c.token_id AND t.revoked_at IS NULL AND NOT t.waiting
    RETURNING t.device_id
), recorded AS (
    INSERT INTO events (kind, device_id, owner_id, actor)
    SELECT 'token_confirmed', id, owner_id, actor FROM confirmed ORDER BY number
)
UPDATE devices d SET confirmed_at = c.at, access_revision = d.access_revision + 1,
    online = d.online AND NOT r.any,
    status_at = CASE WHEN d.online AND r.any THEN c.at ELSE d.status_at END
FROM confirmed c, LATERAL (
    SELECT EXISTS (SELECT FROM revoked WHERE revoked.device_id = c.id) AS any
) r
WHERE d.id = c.id RETURNING d.id, d.access_revision
"""
