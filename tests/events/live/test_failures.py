"""Subscriptions during failures of the database and limits of connections."""

import asyncio
from collections.abc import AsyncIterator
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


async def test_subscriber_receives_every_change_when_postgres_crashes(tmp_path: Path) -> None:
    """PostgreSQL crashes right after a change. It reuses transaction ids that were not flushed."""
    embedded = Settings(data_dir=tmp_path / "data", admin_token=ADMIN, mqtt="off")
    async with instance(embedded) as one:
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


async def test_connection_opened_during_token_check_is_kept(
    one: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = await one.api.key(kind="VIEWER")
    checking, released = asyncio.Event(), asyncio.Event()
    original = connections.valid_tokens

    async def slow(*arguments: object) -> set[int]:
        valid = await original(*arguments)  # type: ignore[arg-type]
        checking.set()
        await released.wait()
        return valid

    monkeypatch.setattr(connections, "valid_tokens", slow)
    async with await Socket.open(one.url, ADMIN):
        await checking.wait()
        async with await Socket.open(one.url, viewer) as socket:
            released.set()
            checking.clear()
            await checking.wait()
            await socket.send({"type": "ping"})
            assert await socket.message() == {"type": "pong"}


async def test_subscribe_without_database_closes_with_1013(one: Instance) -> None:
    database_supervisor = one.app.state.database_supervisor
    async with await Socket.open(one.url, ADMIN) as socket:
        services, database_supervisor.services = database_supervisor.services, None
        await socket.subscribe()
        assert (await socket.closing())[0] == 1013
        database_supervisor.services = services


async def test_stream_ends_without_complete_if_database_fails(
    one: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> AsyncIterator[None]:
        raise Unavailable("away")
        yield

    monkeypatch.setattr(
        one.app.state.database_supervisor.services.feeds.changes, "subscribe", fails
    )
    async with streamed(one.url, ADMIN) as stream:
        name, data = await stream.event()
        assert name == "next"
        assert data["errors"][0]["extensions"]["code"] == "DATABASE_UNAVAILABLE"
        assert await stream.event() == ("end", None)


async def test_stream_over_connection_limit_is_rejected(settings: Settings) -> None:
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


async def test_exhausted_pool_is_reported_as_overloaded(
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


async def test_unreadable_event_does_not_stop_later_subscribers(
    one: Instance, device: str, database: Database
) -> None:
    async with await Socket.open(one.url, ADMIN) as socket:
        await socket.subscribe()
        await until(lambda: one.subscriptions == 1)
        async with database.transaction() as session:
            await session.execute(
                text(
                    "INSERT INTO events (kind, device_id, owner_id, actor) "
                    "SELECT 'config_changed', id, owner_id, 'test' FROM devices"
                )
            )
        assert (await socket.closing())[0] == 4413
    assert await one.api.code("{ latestCursor }", ADMIN) is None
    async with await Socket.open(one.url, ADMIN) as socket:
        await socket.subscribe()
        await until(lambda: one.subscriptions == 1)
        await change_config(one.api, device, 20)
        assert (await socket.change())["config"]["version"] == 2
