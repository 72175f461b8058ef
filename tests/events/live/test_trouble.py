"""Followers while the database, or somebody else, is in trouble."""

import asyncio
from pathlib import Path

import httpx
import psutil
import pytest
from sqlalchemy import text

from db.postgres import database as pools
from db.postgres.database import Database
from domain.errors import Unavailable
from server.graphql import connections
from server.settings import Settings
from tests.conftest import ADMIN, changed
from tests.events.live.serving import (
    CHANGES,
    Instance,
    Socket,
    change_config,
    instance,
    streamed,
    until,
)
from tests.support.client import BENCH

CRASHES = 3


async def test_a_follower_misses_nothing_when_postgres_crashes(tmp_path: Path) -> None:
    """At once after a change: transaction numbers that were not flushed are given again."""
    own = Settings(data_dir=tmp_path / "data", admin_token=ADMIN, mqtt="off")
    async with instance(own) as one:
        database_supervisor = one.app.state.database_supervisor
        device = (await one.api.register(ADMIN, **BENCH))["device"]["id"]
        async with await Socket.open(one.url, ADMIN) as socket:
            await socket.subscribe()
            await until(lambda: one.subscriptions == 1)
            for round_ in range(CRASHES):
                await change_config(one.api, device, 11 + 2 * round_)
                assert (await socket.change())["config"]["version"] == 2 + 2 * round_
                postgres = psutil.Process(database_supervisor._embedded.pid)
                processes = [postgres, *postgres.children(recursive=True)]
                for process in processes:
                    process.suspend()
                for process in processes:
                    process.kill()
                await until(lambda: database_supervisor.services is None)
                await until(lambda: database_supervisor.services is not None)
                await change_config(one.api, device, 12 + 2 * round_)
                assert (await socket.change())["config"]["version"] == 3 + 2 * round_


async def test_a_connection_that_opens_while_tokens_are_checked_stays(
    one: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = await one.api.key(kind="VIEWER")
    asking, answered = asyncio.Event(), asyncio.Event()
    real = connections.valid_tokens

    async def slow(*arguments: object) -> set[int]:
        valid = await real(*arguments)  # type: ignore[arg-type]
        asking.set()
        await answered.wait()
        return valid

    monkeypatch.setattr(connections, "valid_tokens", slow)
    async with await Socket.open(one.url, ADMIN):
        await asking.wait()
        async with await Socket.open(one.url, viewer) as socket:
            answered.set()
            asking.clear()
            await asking.wait()
            await socket.send({"type": "ping"})
            assert await socket.message() == {"type": "pong"}


async def test_a_database_that_is_away_at_the_start_is_no_end(one: Instance) -> None:
    database_supervisor = one.app.state.database_supervisor
    async with await Socket.open(one.url, ADMIN) as socket:
        services, database_supervisor.services = database_supervisor.services, None
        await socket.subscribe()
        assert (await socket.closing())[0] == 1013
        database_supervisor.services = services


async def test_a_stream_that_the_database_ends_is_to_be_resumed(
    one: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> None:
        raise Unavailable("away")

    monkeypatch.setattr(one.app.state.database_supervisor.services.feeds.changes, "_begin", fails)
    async with streamed(one.url, ADMIN) as stream:
        name, data = await stream.event()
        assert name == "next"
        assert data["errors"][0]["extensions"]["code"] == "DATABASE_UNAVAILABLE"
        assert await stream.event() == ("end", None)


async def test_streams_over_the_limit_are_refused(settings: Settings) -> None:
    headers = {"Authorization": f"Bearer {ADMIN}", "Accept": "text/event-stream"}
    async with (
        instance(changed(settings, max_connections_per_token=1)) as one,
        streamed(one.url, ADMIN),
        httpx.AsyncClient() as client,
    ):
        await until(lambda: one.subscriptions == 1)
        refused = await client.post(one.url, json={"query": CHANGES}, headers=headers)
        assert refused.status_code == 429
        assert refused.json()["errors"][0]["extensions"]["code"] == "RATE_LIMITED"


async def test_busy_connections_are_not_taken_for_a_dead_database(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "POOL_WAIT_SECONDS", 0.5)
    async with instance(settings) as one:
        device = (await one.api.register(ADMIN, **BENCH))["device"]["id"]
        database = one.app.state.database_supervisor.services.database

        async def busy() -> None:
            async with database.transaction() as session:
                await session.execute(text("SELECT pg_sleep(2)"))

        async with await Socket.open(one.url, ADMIN) as socket:
            await socket.subscribe()
            await until(lambda: one.subscriptions == 1)
            sleeping = [asyncio.create_task(busy()) for _ in range(pools.POOL_SIZE)]
            await until(lambda: database.engine.pool.checkedout() == pools.POOL_SIZE)
            assert await one.api.code("{ fleet { total } }", ADMIN) == "OVERLOADED"
            assert one.app.state.database_supervisor.services is not None
            await asyncio.gather(*sleeping)
            await change_config(one.api, device, 20)
            assert (await socket.change())["config"]["version"] == 2


async def test_an_event_that_can_not_be_read_stops_nobody_else(
    one: Instance, device: str, database: Database
) -> None:
    async with await Socket.open(one.url, ADMIN) as socket:
        await socket.subscribe()
        await until(lambda: one.subscriptions == 1)
        async with database.transaction() as session:
            await session.execute(
                text(
                    "INSERT INTO events (kind, device_id, owner_id, actor) "
                    "SELECT 'config_changed', id, owner_id, 'nobody' FROM devices"
                )
            )
        assert (await socket.closing())[0] == 4413
    assert await one.api.code("{ latestCursor }", ADMIN) is None
    async with await Socket.open(one.url, ADMIN) as socket:
        await socket.subscribe()
        await until(lambda: one.subscriptions == 1)
        await change_config(one.api, device, 20)
        assert (await socket.change())["config"]["version"] == 2
