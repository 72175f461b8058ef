"""An overloaded database: some requests wait, the others are rejected with Retry-After."""

import asyncio
from collections import Counter

import httpx
import pytest
from sqlalchemy import text

from concurrency import batcher
from db.postgres.database import Database
from server.settings import Settings
from tests.conftest import ADMIN
from tests.events.live.serving import Instance, instance
from tests.support.client import BENCH
from tests.support.waiting import WAIT_SECONDS

MAX_WAITING, REQUESTS = 20, 200
BOOT = {"documentId": "b"}


async def outcome_of(one: Instance, client: httpx.AsyncClient, body: object, token: str) -> str:
    """Return "OK" or the error code."""
    response = await client.post(one.url, json=body, headers={"Authorization": f"Bearer {token}"})
    if response.status_code == 503:
        assert 1 <= int(response.headers["retry-after"]) <= 60
        [error] = response.json()["errors"]
        return str(error["extensions"]["code"])
    assert response.status_code == 200
    assert "errors" not in response.json()
    return "OK"


@pytest.mark.parametrize(("table", "mode"), [("tokens", "ACCESS EXCLUSIVE"), ("devices", "SHARE")])
async def test_locked_table_causes_overloaded_errors(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, table: str, mode: str
) -> None:
    """A SHARE lock allows reads: only registrations wait."""
    limits = httpx.Limits(max_connections=REQUESTS)
    async with instance(settings) as one, httpx.AsyncClient(limits=limits) as client:
        key = await one.api.key()
        token = (await one.api.register(key, mac="246f28990000"))["token"]
        await one.api.ask("{ me { id } }", token)
        monkeypatch.setattr(batcher, "MAX_WAITING", MAX_WAITING)
        database: Database = one.app.state.database_supervisor.services.database

        def body(number: int) -> object:
            if table == "tokens":
                return BOOT
            fields = {"owner": BENCH["owner"], "type": BENCH["measurementType"]}
            place = BENCH["location"]["place"]
            values = {**fields, "place": place, "mac": f"246f2899{number:04x}"}
            return {"documentId": "r", "variables": values}

        async with database.transaction(background=True) as session:
            await session.execute(text(f"LOCK TABLE {table} IN {mode} MODE"))
            waiting = {
                asyncio.create_task(
                    outcome_of(one, client, body(n), token if table == "tokens" else key)
                )
                for n in range(1, REQUESTS + 1)
            }
            refused: list[str] = []
            async with asyncio.timeout(WAIT_SECONDS):
                while not refused:
                    done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                    refused += [task.result() for task in done]
        answered = Counter(refused + await asyncio.gather(*waiting))
        # On a busy machine some requests wait longer than the statement timeout.
        assert {"OK", "OVERLOADED"} <= set(answered) <= {"OK", "OVERLOADED", "DATABASE_UNAVAILABLE"}
        assert answered["OVERLOADED"] >= MAX_WAITING
        assert await outcome_of(one, client, BOOT, token) == "OK"
        if table == "devices":
            total = (await one.api.ask("{ fleet { total } }", ADMIN))["fleet"]["total"]
            assert 0 <= total - 1 - answered["OK"] <= answered["DATABASE_UNAVAILABLE"]
