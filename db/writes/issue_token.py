"""The statement for a batch of new tokens of existing devices."""

ISSUE = """
WITH given AS (SELECT * FROM {given}), locked AS MATERIALIZED (
    SELECT g.*, d.owner_id, d.number, d.awaits_approval
    FROM devices d JOIN given g USING (id)
    WHERE d.access_revision = g.access_revision
    ORDER BY d.id FOR NO KEY UPDATE OF d SKIP LOCKED
), removed AS (
    DELETE FROM tokens t USING locked l
    WHERE t.device_id = l.id AND t.confirmed_at IS NULL AND t.revoked_at IS NULL
        AND (t.waiting OR NOT l.waiting)
), issued AS (
    INSERT INTO tokens
        (kind, hash, mqtt_hash, device_id, issued_by, waiting, created_at, created_by)
    SELECT 'device', hash, mqtt_hash, id, issued_by, waiting, at, actor FROM locked
), recorded AS (
    INSERT INTO events (kind, device_id, owner_id, actor)
    SELECT CASE WHEN waiting THEN 'enrolment_requested' ELSE 'token_renewed' END,
        id, owner_id, actor
    FROM locked WHERE NOT (waiting AND awaits_approval) ORDER BY number
)
UPDATE devices d SET access_revision = d.access_revision + 1, awaits_approval = l.waiting,
    state = CASE WHEN l.waiting THEN d.state ELSE 'active' END,
    reenrolment_refused = d.reenrolment_refused AND l.waiting
FROM locked l WHERE d.id = l.id RETURNING d.id, d.number
"""
