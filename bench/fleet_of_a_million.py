"""Measure lists and counts as a fleet grows: `make bench-lists`.

Fills an embedded PostgreSQL in a temporary folder, and prints the median of each read in ms. An
argument limits the number of devices.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from sqlalchemy import text

from db.devices.fleet_counts import FleetCounts, fleet_counts
from db.embedded import EmbeddedPostgres
from db.migrate import migrate
from db.paging import cursor
from db.postgres.database import Database
from domain.access.caller import Caller
from domain.access.tokens import TokenKind
from domain.devices.inputs import DeviceFilter
from domain.inputs import Page
from resolvers.devices.queries import count_devices, list_devices
from resolvers.services import Services

RUNS = 15
ADMIN = Caller(TokenKind.ADMIN)
OWNERS, PLACES, TYPES = 200, 20, 5

LEVELS = f"""
INSERT INTO owners (name, name_key, slug)
SELECT 'Owner ' || n, 'owner ' || n, 'owner-' || n FROM generate_series(1, {OWNERS}) n;
INSERT INTO places (owner_id, name, name_key, slug)
SELECT o.id, 'Place ' || n, 'place ' || n, 'place-' || n
FROM owners o, generate_series(1, {PLACES}) n ORDER BY o.id, n;
INSERT INTO measurement_types (owner_id, name, name_key, slug)
SELECT o.id, 'Type ' || n, 'type ' || n, 'type-' || n
FROM owners o, generate_series(1, {TYPES}) n ORDER BY o.id, n;
"""

FLEET = f"""
INSERT INTO devices (id, owner_id, place_id, measurement_type_id, topic, sensor_model, firmware,
    state, awaits_approval, config_version, interval_seconds, qos, config_updated_at,
    config_updated_by, applied_version, registered_at, updated_at, search)
SELECT md5(n::text), o, (o - 1) * {PLACES} + n / {OWNERS} % {PLACES} + 1,
    (o - 1) * {TYPES} + n / 7 % {TYPES} + 1, 'o/p/t/' || n, 'BME' || n % 50, '1.' || n % 10,
    CASE WHEN n % 1000 = 0 THEN 'pending' ELSE 'active' END, n % 1000 = 0, 2, 60, 1, now(),
    'system', CASE WHEN n % 33 = 0 THEN 1 ELSE 2 END, now(), now(),
    array_to_tsvector(ARRAY[md5(n::text), 'owner', o::text, 'place', 'bme' || n % 50])
FROM (
    SELECT n, n % {OWNERS} + 1 AS o
    FROM generate_series(CAST(:first AS int), CAST(:last AS int)) n
) AS numbers
"""

# Filters, and the owner whose token is used; None: an admin token.
READS: dict[str, tuple[dict[str, Any], int | None]] = {
    "all": ({}, None),
    "owner": ({"owner": "owner 7"}, None),
    "place": ({"place": "Place 3"}, None),
    "type": ({"measurement_type": "Type 2"}, None),
    "model": ({"sensor_model": "bme7"}, None),
    "pending": ({"state": "pending"}, None),
    "awaits approval": ({"awaits_approval": True}, None),
    "out of sync": ({"in_sync": False}, None),
    "in sync": ({"in_sync": True}, None),
    "common word": ({"search": "place"}, None),
    "model by word": ({"search": "bme7"}, None),
    "beginning of an id": ({"search": "c4ca42"}, None),
    "no such word": ({"search": "nowhere"}, None),
    "owner's token": ({}, 7),
    "owner, type and word": (
        {"owner": "owner 7", "measurement_type": "Type 2", "search": "bme"},
        None,
    ),
}


async def measure(read: Callable[[], Awaitable[Any]]) -> float:
    """Median duration in milliseconds."""
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        await read()
        times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times)


async def fill(database: Database, first: int, last: int) -> None:
    for start in range(first, last + 1, 20_000):
        async with database.transaction() as session:
            end = min(start + 19_999, last)
            await session.execute(text(FLEET), {"first": start, "last": end})
    async with database.engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("VACUUM ANALYZE"))


async def table(database: Database, count: int) -> None:
    services = Services.for_database(database)
    print(f"\n{count:,} devices {'':14} page of 50    totalCount")
    for name, (values, owner_id) in READS.items():
        filter, caller = DeviceFilter(**values), ADMIN._replace(owner_id=owner_id)
        page = await measure(lambda: list_devices(services, caller, filter, Page()))  # noqa: B023
        total = await measure(lambda: count_devices(services, caller, filter))  # noqa: B023
        number, exact = await count_devices(services, caller, filter)
        print(f"{name:24} {page:8.1f} ms {total:8.1f} ms  {'' if exact else '~'}{number:,}")
    deep = Page(after=cursor("device", count * 9 // 10))
    page = await measure(lambda: list_devices(services, ADMIN, DeviceFilter(), deep))
    print(f"{'all, deep in the list':24} {page:8.1f} ms")
    print(f"{'counts for /metrics':24} {await measure(lambda: counts(database)):8.1f} ms")
    services.reads.close()


async def counts(database: Database) -> FleetCounts:
    async with database.transaction() as session:
        return await fleet_counts(session)


async def main(max_devices: int) -> None:
    with tempfile.TemporaryDirectory(prefix="rollcall-bench-") as folder:
        server = EmbeddedPostgres(Path(folder))
        try:
            database = Database(server.start())
            await migrate(database)
            async with database.transaction() as session:
                for statement in LEVELS.split(";")[:-1]:
                    await session.execute(text(statement))
            done = 0
            for count in (1_000, 100_000, 1_000_000):
                if count <= max_devices:
                    await fill(database, done + 1, count)
                    done = count
                    await table(database, count)
            await database.close()
        finally:
            server.stop()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000))
