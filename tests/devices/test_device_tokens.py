"""Renewal and first use of device tokens, also at the same time."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text

from db.postgres.database import Database
from domain.devices.writes import IssueToken
from tests.alerts.alert_server import rows
from tests.conftest import ADMIN
from tests.devices.registrations import mac, until_lock_wait
from tests.support.client import Api
from tests.support.events import events_of


async def test_concurrent_renewals_after_lost_responses(api: Api, database: Database) -> None:
    key = await api.key()
    single = await api.register(key, mac=mac(0))
    lost = await asyncio.gather(*(api.register(key, mac=mac(n)) for n in range(1, 60)))
    await api.register(ADMIN, mac=mac(0))
    await api.change("updateConfig", deviceId=lost[0]["device"]["id"], qos=0)
    numbers = f"SELECT id FROM tokens WHERE device_id <> '{single['device']['id']}' ORDER BY id"
    before = await rows(database, numbers)
    found = await asyncio.gather(*(api.register(key, mac=mac(n)) for n in range(1, 60)))
    assert {answer["outcome"] for answer in found} == {"RENEWED"}
    assert len(await rows(database, numbers)) == len(before)
    assert [a["device"]["id"] for a in found] == [a["device"]["id"] for a in lost]
    assert found[0]["device"]["config"]["qos"] == 0
    assert {a["device"]["config"]["version"] for a in found[1:]} == {1}
    tokens = "kind, waiting, mqtt_hash IS NULL, issued_by, created_by, confirmed_at, revoked_at"
    made = await rows(
        database, f"SELECT {tokens} FROM tokens WHERE device_id <> '{single['device']['id']}'"
    )
    assert len(made) == 59
    assert len(set(made)) == 1
    events = await events_of(database, "token_renewed")
    assert len(events) == 60
    assert len({(event.actor, event.owner_id, str(event.after)) for event in events[1:]}) == 1
    for old, new in zip(lost[::20], found[::20], strict=True):
        assert (await api.post("{ me { id } }", old["token"])).status_code == 401
        me = await api.ask("{ me { id } }", new["token"])
        assert me["me"]["id"] == old["device"]["id"]


@pytest.mark.parametrize("in_transaction", [False, True])
async def test_issue_token_with_failed_guard_is_a_conflict(
    api: Api, database: Database, in_transaction: bool
) -> None:
    made = await api.register(await api.key())
    id, writes = made["device"]["id"], api.app.state.database_supervisor.services.writes
    [(revision,)] = await rows(database, "SELECT access_revision FROM devices")

    async def issued(**overrides: Any) -> bool:
        values: dict[str, Any] = {
            "id": id,
            "access_revision": revision,
            "hash": b"another",
            "mqtt_hash": "x",
            "issued_by": None,
            "ends_requests": False,
            "at": datetime.now(UTC),
            "actor": "enrol:1",
        }
        write = IssueToken(**{**values, **overrides})
        if not in_transaction:
            return bool(await writes.issue_token(write))
        async with database.transaction() as session:
            return bool(await writes.issue_token(write, session))

    assert not await issued(access_revision=revision + 1)
    assert not await issued(id="0" * 32)
    assert (await api.post("{ me { id } }", made["token"])).status_code == 200
    assert not await issued()
    assert await events_of(database, "token_renewed") == []


async def test_new_token_deletes_unused_tokens(api: Api, database: Database) -> None:
    """Requests stay, unless an administrator registers the device."""
    key, other = await api.key(), await api.key()
    await api.register(key)
    tokens = "SELECT waiting FROM tokens WHERE kind = 'device' ORDER BY waiting"
    for _ in range(2):
        assert (await api.register(other))["outcome"] == "PENDING"
        assert await rows(database, tokens) == [(False,), (True,)]
    assert len(await events_of(database, "enrolment_requested")) == 1
    assert (await api.register(key))["outcome"] == "RENEWED"
    assert await rows(database, tokens) == [(False,), (True,)]
    flags = "SELECT awaits_approval, reenrolment_refused, state FROM devices"
    assert await rows(database, flags) == [(True, False, "active")]
    assert (await api.register(ADMIN))["outcome"] == "RENEWED"
    assert await rows(database, tokens) == [(False,)]
    assert await rows(database, flags) == [(False, False, "active")]


async def test_use_of_old_token_during_renewal(api: Api, database: Database) -> None:
    """One of the two requests is first, and the other one sees its result."""
    key = await api.key()
    await api.register(key, mac=mac(0))
    for number in range(1, 25):
        old = (await api.register(key, mac=mac(number)))["token"]
        used, answer = await asyncio.gather(
            api.post("{ me { id } }", old), api.register(key, mac=mac(number))
        )
        if answer["outcome"] == "RENEWED":
            assert used.status_code == 401
            assert (await api.post("{ me { id } }", old)).status_code == 401
            assert (await api.post("{ me { id } }", answer["token"])).status_code == 200
        else:
            assert (used.status_code, answer["outcome"]) == (200, "PENDING")
    live = "SELECT device_id FROM tokens WHERE kind = 'device' AND NOT waiting"
    assert len(await rows(database, live)) == 25


@pytest.mark.parametrize(
    "meanwhile",
    ["UPDATE tokens SET hash = 'another' WHERE kind = 'device'", "DELETE FROM tokens"],
)
async def test_token_replaced_during_first_use_is_rejected(
    api: Api, database: Database, meanwhile: str
) -> None:
    token = (await api.register(await api.key()))["token"]
    async with database.transaction() as session:
        await session.execute(text("SELECT 1 FROM devices FOR UPDATE"))
        request = asyncio.create_task(api.post("{ me { id } }", token))
        await until_lock_wait(session)
        await session.execute(text(meanwhile))
    assert (await request).status_code == 401
    assert await events_of(database, "token_confirmed") == []
