"""The connection limit of a server, and PgBouncer in front of the database."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from db.migrate import migrate
from db.postgres.database import Database
from db.postgres.permanent import DatabaseUnusable, permanent_reason
from tests.db.postgres.load import check_log, load
from tests.db.postgres.test_recovery import check_recovered, rollcall
from tests.support.pgbouncer import PgBouncer, pgbouncer
from tests.support.postgres import USER, Cluster

COUNT = f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{USER}'"


@pytest.mark.parametrize(("limit", "workers"), [(16, 1), (45, 1), (32, 2)])
async def test_server_respects_connection_limit(
    server: Cluster, url: str, tmp_path: Path, limit: int, workers: int
) -> None:
    settings = {"ROLLCALL_DATABASE_CONNECTIONS": str(limit), "ROLLCALL_WORKERS": str(workers)}
    counted: list[int] = []

    async def count() -> None:
        while True:
            counted.append(int(await asyncio.to_thread(server.sql, COUNT)))

    with rollcall(tmp_path, url, **settings) as running:
        async with load(running, lists=40, clients=40) as clients:
            counting = asyncio.create_task(count())
            await clients.acknowledged(150)
            counting.cancel()
            assert not clients.unexpected
            assert not clients.codes
        check_log(running)
    assert len(counted) > 5
    assert max(counted) <= limit


@pytest.fixture
def session_mode(server: Cluster, tmp_path: Path) -> Iterator[PgBouncer]:
    with pgbouncer(tmp_path / "bouncer", server) as made:
        yield made


@pytest.mark.parametrize("limit", ["", "20"])
async def test_pgbouncer_in_session_mode_under_load(
    session_mode: PgBouncer, tmp_path: Path, limit: str
) -> None:
    with rollcall(tmp_path, session_mode.url, ROLLCALL_DATABASE_CONNECTIONS=limit) as running:
        async with load(running, lists=20, clients=20) as clients:
            await clients.acknowledged(100)
            assert not clients.unexpected
            if limit:
                assert not clients.codes
        async with load(running, lists=2, clients=2) as few:
            await check_recovered(few, running)


@pytest.mark.parametrize(
    "settings",
    [
        {"pool_mode": "transaction"},
        {"pool_mode": "transaction", "default_pool_size": "1"},
        {"pool_mode": "transaction", "server_round_robin": "1"},
        {"pool_mode": "statement"},
    ],
)
async def test_pgbouncer_without_session_mode_is_rejected(
    server: Cluster, tmp_path: Path, settings: dict[str, str]
) -> None:
    with pgbouncer(tmp_path / "bouncer", server, **settings) as shared:
        for _ in range(3):
            database = Database(shared.url)
            try:
                with pytest.raises(DatabaseUnusable, match="pool_mode = session"):
                    await migrate(database)
            finally:
                await database.close()


async def test_busy_pgbouncer_without_session_mode_is_rejected(
    server: Cluster, tmp_path: Path
) -> None:
    """Other clients use its connections at the same time."""
    with pgbouncer(tmp_path / "bouncer", server, pool_mode="transaction") as shared:
        others = Database(shared.url)
        drivers = [await others.connection() for _ in range(4)]

        async def use(number: int) -> None:
            while True:
                await drivers[number].execute("SELECT pg_sleep(0.002)")

        background_queries = [asyncio.create_task(use(number)) for number in range(len(drivers))]
        try:
            for _ in range(10):
                database = Database(shared.url)
                with pytest.raises(DatabaseUnusable, match="pool_mode = session"):
                    await migrate(database)
                await database.close()
        finally:
            for each in background_queries:
                each.cancel()
            await others.close()


async def test_pgbouncer_pool_size_of_one_is_reported(server: Cluster, tmp_path: Path) -> None:
    with pgbouncer(tmp_path / "bouncer", server, default_pool_size="1") as small:
        database = Database(small.url)
        try:
            with pytest.raises(TimeoutError, match="default_pool_size"):
                await migrate(database)
        finally:
            await database.close()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (":a%20secret", ":wrong", "refuses the password"),
        ("//rollcall:", "//unknown:", "refuses the password"),
        ("/rollcall", "/missing", "no such database"),
        ("/rollcall", "/rollcall?options=-c%20geqo%3Doff", "unsupported startup parameter"),
    ],
)
async def test_errors_of_pgbouncer_are_permanent(
    session_mode: PgBouncer, old: str, new: str, words: str
) -> None:
    before, found, after = session_mode.url.rpartition(old)
    assert found
    database = Database(before + new + after)
    with pytest.raises(ConnectionError) as raised:
        await database.connection()
    assert words in (permanent_reason(raised.value) or "").lower()
