"""Provides a PostgreSQL with a fleet for benchmarks."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import text

from bench.fleet_of_a_million import LEVELS, fill
from bench.serving import ready, serving
from bench.speed.load import KEY
from db.embedded import EmbeddedPostgres
from db.migrate import migrate
from db.postgres.database import Database
from domain.access.tokens import hash_token

TOKENS = """
INSERT INTO tokens (kind, hash, device_id, created_at, created_by, confirmed_at, mqtt_hash)
SELECT 'device', sha256(convert_to('rcd_' || lpad(n::text, 24, '0'), 'UTF8')), md5(n::text),
    now(), 'bench', now(), 'x' FROM generate_series(1, CAST(:count AS int)) n
"""
ENROL = (
    "INSERT INTO tokens (kind, hash, created_at, created_by) VALUES ('enrol', :hash, now(), 'x')"
)
# pgbench has no pool and needs one for each client.
CONNECTIONS = 300


@asynccontextmanager
async def filled(devices: int, **settings: str) -> AsyncIterator[tuple[str, Path]]:
    """Yields the URL of a new database with `devices` devices, and a folder for files. `settings`:
    of PostgreSQL.
    """
    with tempfile.TemporaryDirectory(prefix="rollcall-") as name:
        postgres = EmbeddedPostgres(Path(name))
        try:
            settings = {"max_connections": str(CONNECTIONS), **settings}
            changes = [f"ALTER SYSTEM SET {name} = '{value}'" for name, value in settings.items()]
            await _run(postgres.start(), *changes)
            postgres.stop()
            url = postgres.start()
            await _fill(url, devices)
            yield url, Path(name)
        finally:
            postgres.stop()


async def settled(url: str) -> None:
    """Vacuum and write a checkpoint, so that no run pays for the writes of the one before."""
    await _run(url, "VACUUM", "CHECKPOINT")


async def _fill(url: str, devices: int) -> None:
    database = Database(url, statement_seconds=None)
    await migrate(database)
    async with database.transaction() as session:
        for statement in filter(str.strip, LEVELS.split(";")):
            await session.execute(text(statement))
    await fill(database, 1, devices)
    async with database.transaction() as session:
        await session.execute(text(TOKENS), {"count": devices})
        await session.execute(text(ENROL), {"hash": hash_token(KEY)})
        await session.execute(text("DELETE FROM config_outbox"))
    await database.close()
    await _run(url, "VACUUM ANALYZE")
    with serving(url) as server:
        # The server stores its admin token in the database when it starts.
        await ready(server.output)


async def _run(url: str, *statements: str) -> None:
    """Run statements outside of a transaction and without a time limit."""
    database = Database(url, statement_seconds=None)
    async with database.engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        for statement in statements:
            await connection.execute(text(statement))
    await database.close()
