"""The statement for a batch of MQTT status messages."""

# An event is added only if the log says that the device was offline for long.
PRESENCE = """
WITH given AS (SELECT * FROM {given}), locked AS MATERIALIZED (
    SELECT g.*, d.owner_id, d.number, d.absence_noted, d.status_at
    FROM devices d JOIN given g USING (id)
    WHERE d.state = 'active' AND d.online <> g.online
    ORDER BY d.id FOR NO KEY UPDATE OF d SKIP LOCKED
), recorded AS (
    INSERT INTO events (kind, device_id, owner_id, actor, before)
    SELECT 'device_online', id, owner_id, actor, jsonb_build_object('offlineSince',
        to_char(status_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'))
    FROM locked WHERE online AND absence_noted ORDER BY number
)
UPDATE devices d SET online = l.online, status_at = l.at,
    absence_noted = d.absence_noted AND NOT l.online,
    last_seen_at = CASE WHEN l.online THEN l.at ELSE d.last_seen_at END
FROM locked l WHERE d.id = l.id RETURNING d.id, d.online
"""
