"""The migration that turns pending tokens into requests, and back, with data."""

from collections.abc import Callable

from alembic import command
from sqlalchemy import Connection

from db import migrate
from db.postgres.database import Database
from tests.alerts.alert_server import execute, rows

BEFORE, AFTER = "0011", "0012"
OWNERS = """
INSERT INTO owners (name, name_key, slug)
VALUES ('Acme', 'acme', 'acme'), ('Globex', 'globex', 'globex')
"""
PLACES = """
INSERT INTO places (owner_id, name, name_key, slug) VALUES (1, 'Paris', 'paris', 'paris')
"""
TYPES = """
INSERT INTO measurement_types (owner_id, name, name_key, slug) VALUES (1, 'heat', 'heat', 'heat')
"""
DEVICES = """
INSERT INTO devices (id, owner_id, place_id, measurement_type_id, topic, sensor_model, firmware,
    state, awaits_approval, config_version, interval_seconds, qos, config_updated_at,
    config_updated_by, registered_at, updated_at, search)
SELECT repeat(n::text, 32), 1, 1, 1, n::text, 'BME280', n::text, 'active', n < 3, 1, 60, 1, now(),
    'admin:1', now(), now(), '' FROM generate_series(1, 3) n
"""
# A key for Acme, one for Globex; a pending token of device 1 by the first, of device 2 by the
# second, and tokens that are no requests.
TOKENS = """
INSERT INTO tokens (kind, hash, owner_id, device_id, issued_by, waiting, created_at, created_by,
    revoked_at)
VALUES ('enrol', 'a', 1, NULL, NULL, false, '2026-01-01Z', 'admin:1', NULL),
    ('enrol', 'b', 2, NULL, NULL, false, '2026-01-01Z', 'admin:1', NULL),
    ('device', 'c', NULL, repeat('1', 32), 1, true, '2026-01-02Z', 'enrol:1', NULL),
    ('device', 'd', NULL, repeat('2', 32), 2, true, '2026-01-03Z', 'enrol:2', NULL),
    ('device', 'e', NULL, repeat('3', 32), 1, true, '2026-01-03Z', 'enrol:1', now()),
    ('device', 'f', NULL, repeat('3', 32), 1, false, '2026-01-03Z', 'enrol:1', NULL)
"""
REQUESTS = (
    "SELECT device_id, token_id, key_id, address, sensor_model, firmware, times_asked, "
    "requested_at = last_asked_at, foreign_owner FROM enrolment_requests ORDER BY id"
)
WAITING = "SELECT hash FROM tokens WHERE waiting AND revoked_at IS NULL ORDER BY id"


async def test_pending_tokens_become_requests_and_back(database: Database) -> None:
    await run(database, lambda connection: downgrade(connection, BEFORE))
    for statement in (OWNERS, PLACES, TYPES, DEVICES, TOKENS):
        await execute(database, statement)
    await run(database, upgrade)
    assert [tuple(row) for row in await rows(database, REQUESTS)] == [
        ("1" * 32, 3, 1, None, "BME280", "1", 1, True, False),
        ("2" * 32, 4, 2, None, "BME280", "2", 1, True, True),
    ]
    # Two more requests for device 1, the last one a foreign one.
    await execute(
        database,
        "INSERT INTO tokens (kind, hash, device_id, waiting, created_at, created_by) "
        "SELECT 'device', h::bytea, repeat('1', 32), true, now(), 'anonymous' "
        "FROM unnest(ARRAY['x', 'y']) h",
    )
    await execute(
        database,
        "INSERT INTO enrolment_requests (device_id, token_id, requested_at, last_asked_at, "
        "foreign_owner) SELECT device_id, id, now(), now(), hash = 'y' FROM tokens "
        "WHERE hash IN ('x', 'y') ORDER BY id",
    )
    await run(database, lambda connection: downgrade(connection, BEFORE))
    assert [bytes(hash) for (hash,) in await rows(database, WAITING)] == [b"x"]
    await run(database, upgrade)
    assert len(await rows(database, REQUESTS)) == 1
    assert await migrate.missing_migrations(database) == []


def upgrade(connection: Connection) -> None:
    command.upgrade(migrate._config(connection), AFTER)


def downgrade(connection: Connection, revision: str) -> None:
    command.downgrade(migrate._config(connection), revision)


async def run(database: Database, work: Callable[[Connection], None]) -> None:
    async with database.engine.begin() as connection:
        await connection.run_sync(work)
