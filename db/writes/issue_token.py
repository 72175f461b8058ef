"""The statement for a batch of new tokens of existing devices."""

# Requests end by the deletion of their pending tokens.
ISSUE = """
WITH given AS (SELECT * FROM {given}), locked AS MATERIALIZED (
    SELECT g.*, d.owner_id, d.number FROM devices d JOIN given g USING (id)
    WHERE d.access_revision = g.access_revision
    ORDER BY d.id FOR NO KEY UPDATE OF d SKIP LOCKED
), removed AS (
    DELETE FROM tokens t USING locked l
    WHERE t.device_id = l.id AND t.confirmed_at IS NULL AND t.revoked_at IS NULL
        AND (l.ends_requests OR NOT t.waiting)
), issued AS (
    INSERT INTO tokens (kind, hash, mqtt_hash, device_id, issued_by, created_at, created_by)
    SELECT 'device', hash, mqtt_hash, id, issued_by, at, actor FROM locked
), recorded AS (
    INSERT INTO events (kind, device_id, owner_id, actor)
    SELECT 'token_renewed', id, owner_id, actor FROM locked ORDER BY number
)
UPDATE devices d SET access_revision = d.access_revision + 1, state = 'active',
    awaits_approval = d.awaits_approval AND NOT l.ends_requests, reenrolment_refused = false
FROM locked l WHERE d.id = l.id RETURNING d.id, d.number
"""
