"""First use of device tokens: alone, concurrently, and during other changes of tokens."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import text

from db.postgres.database import Database
from domain.devices.writes import ConfirmToken
from server.settings import Settings
from tests.conftest import changed, served
from tests.support.client import Api
from tests.support.events import events_of
from tests.support.waiting import until

ME = "{ me { id online } }"
UNUSED = "SELECT count(*) FROM tokens WHERE kind = 'device' AND confirmed_at IS NULL"


def mac(number: int) -> str:
    return f"24:6f:28:05:{number // 256:02x}:{number % 256:02x}"


async def value(database: Database, query: str, **values: Any) -> Any:
    async with database.transaction() as session:
        return (await session.execute(text(query), values)).scalar_one()


async def revision(database: Database, id: str) -> int:
    query = "SELECT access_revision FROM devices WHERE id = :id"
    return int(await value(database, query, id=id))


async def test_concurrent_first_uses_of_many_tokens_are_confirmed(
    api: Api, database: Database
) -> None:
    key = await api.key()
    devices = [await api.register(key, mac=mac(n)) for n in range(40)]
    found = await asyncio.gather(*(api.ask(ME, each["token"]) for each in devices))
    assert [one["me"]["id"] for one in found] == [each["device"]["id"] for each in devices]
    events = await events_of(database, "token_confirmed")
    assert sorted(event.device_id or "" for event in events) == sorted(
        each["device"]["id"] for each in devices
    )
    assert {event.actor for event in events} == {
        f"device:{each['device']['id']}" for each in devices
    }
    assert await value(database, UNUSED) == 0
    assert await value(database, "SELECT count(*) FROM devices WHERE confirmed_at IS NULL") == 0


async def test_concurrent_first_uses_of_one_token_record_one_event(
    api: Api, database: Database
) -> None:
    token = (await api.register(await api.key()))["token"]
    found = await asyncio.gather(*(api.post(ME, token) for _ in range(30)))
    assert {answer.status_code for answer in found} == {200}
    assert len(await events_of(database, "token_confirmed")) == 1


async def test_first_uses_on_two_servers_record_one_event(
    settings: Settings, database: Database
) -> None:
    async with served(settings) as one, served(settings) as other:
        token = (await one.register(await one.key()))["token"]
        found = await asyncio.gather(*(api.post(ME, token) for api in (one, other) * 15))
    assert {answer.status_code for answer in found} == {200}
    assert len(await events_of(database, "token_confirmed")) == 1


async def test_first_use_revokes_other_tokens_and_ends_their_session(
    api: Api, database: Database
) -> None:
    first = await api.register(await api.key())
    id = first["device"]["id"]
    await api.ask(ME, first["token"])
    async with database.transaction() as session:
        await session.execute(text("UPDATE devices SET online = true, status_at = now()"))
    second = (await api.change("rotateDeviceToken", fields="token", id=id))["token"]
    assert (await api.ask(ME, first["token"]))["me"]["online"]
    await api.ask(ME, second)
    assert (await api.post(ME, first["token"])).status_code == 401
    assert not (await api.ask(ME, second))["me"]["online"]
    live = "SELECT count(*) FROM tokens WHERE kind = 'device' AND revoked_at IS NULL"
    assert await value(database, live) == 1


async def test_first_use_waits_for_locked_device(api: Api, database: Database) -> None:
    made = await api.register(await api.key())
    async with database.transaction() as session:
        await session.execute(text("SELECT FROM devices FOR UPDATE"))
        request = asyncio.create_task(api.post(ME, made["token"]))
        lock_waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        await until(lambda: _is_true(database, lock_waits))
        assert not request.done()
    assert (await request).status_code == 200
    assert len(await events_of(database, "token_confirmed")) == 1


async def _is_true(database: Database, query: str) -> bool:
    return bool(await value(database, query))


async def test_token_replaced_during_its_first_use_is_rejected(
    api: Api, database: Database
) -> None:
    """The device requests another token after the server looked up the first one."""
    key = await api.key()
    made = await api.register(key)
    async with database.transaction() as session:
        await session.execute(text("SELECT FROM devices FOR UPDATE"))
        request = asyncio.create_task(api.post(ME, made["token"]))
        lock_waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        await until(lambda: _is_true(database, lock_waits))
        await session.execute(
            text("UPDATE tokens SET hash = sha256('another') WHERE kind = 'device'")
        )
        await session.execute(text("UPDATE devices SET access_revision = access_revision + 1"))
    assert (await request).status_code == 401
    assert await events_of(database, "token_confirmed") == []
    assert await value(database, UNUSED) == 1


async def test_token_issued_during_first_use_is_revoked(api: Api, database: Database) -> None:
    """The snapshot of the revoking statement does not contain this token: the guard must fail."""
    made = await api.register(await api.key())
    id = made["device"]["id"]
    async with database.transaction() as session:
        await session.execute(text("SELECT FROM devices FOR UPDATE"))
        request = asyncio.create_task(api.post(ME, made["token"]))
        lock_waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        await until(lambda: _is_true(database, lock_waits))
        await session.execute(
            text(
                "INSERT INTO tokens (kind, hash, device_id, created_at, created_by) "
                "VALUES ('device', sha256('late'), :id, now(), 'admin:1')"
            ),
            {"id": id},
        )
        await session.execute(text("UPDATE devices SET access_revision = access_revision + 1"))
    assert (await request).status_code == 200
    live = "SELECT count(*) FROM tokens WHERE kind = 'device' AND revoked_at IS NULL"
    assert await value(database, live) == 1


async def test_token_without_mqtt_hash_gets_it_on_use(api: Api, database: Database) -> None:
    made = await api.register(await api.key())
    no_password = text("UPDATE tokens SET mqtt_hash = NULL")
    missing = "SELECT count(*) FROM tokens WHERE mqtt_hash IS NULL AND kind IN ('device', 'admin')"
    for token in (made["token"], made["token"], api.admin):
        async with database.transaction() as session:
            await session.execute(no_password)
        before = await value(database, missing)
        assert (await api.post(ME, token)).status_code == 200
        assert await value(database, missing) == before - 1


@dataclass
class Enrolled:
    """A device with its enrolment key and token."""

    api: Api
    key: str
    number: int
    id: str
    token: str


async def first_use(enrolled: Enrolled) -> None:
    await enrolled.api.ask(ME, enrolled.token)


async def approve(enrolled: Enrolled) -> None:
    await enrolled.api.change("approveDevice", id=enrolled.id)


async def reject(enrolled: Enrolled) -> None:
    await enrolled.api.change("rejectDevice", id=enrolled.id)


async def rotate(enrolled: Enrolled) -> None:
    await enrolled.api.change("rotateDeviceToken", id=enrolled.id)


async def rotate_and_revoke(enrolled: Enrolled) -> None:
    await enrolled.api.change("rotateDeviceToken", id=enrolled.id, revokeOld=True)


async def renew(enrolled: Enrolled) -> None:
    await enrolled.api.register(enrolled.key, mac=mac(enrolled.number))


async def register_with_another_key(enrolled: Enrolled) -> None:
    await enrolled.api.register(await enrolled.api.key(), mac=mac(enrolled.number))


async def change_owner(enrolled: Enrolled) -> None:
    await enrolled.api.change("updateDevice", id=enrolled.id, owner="Globex")


async def revoke(enrolled: Enrolled) -> None:
    tokens = (await enrolled.api.ask("{ tokens(kind: DEVICE) { nodes { id } } }"))["tokens"]
    payload = await enrolled.api.change("revokeToken", id=tokens["nodes"][-1]["id"])
    assert payload["errors"] == []


PENDING = (approve, reject)
UNUSED_TOKEN = (first_use, renew)
USED_TOKEN = (rotate, rotate_and_revoke, register_with_another_key, change_owner, revoke)


@pytest.mark.parametrize("operation", [*PENDING, *UNUSED_TOKEN, *USED_TOKEN])
async def test_token_and_owner_changes_raise_access_revision(
    settings: Settings, database: Database, operation: Callable[[Enrolled], Awaitable[None]]
) -> None:
    """A first use decided before the change must not be written after it."""
    async with served(changed(settings, enrolment="approve")) as api:
        key = await api.key()
        token = (await api.register(key, mac=mac(1)))["token"]
        id = str(await value(database, "SELECT id FROM devices"))
        enrolled = Enrolled(api, key, 1, id, token)
        if operation not in PENDING:
            await approve(enrolled)
        if operation in USED_TOKEN:
            await first_use(enrolled)
        before = await revision(database, id)
        await operation(enrolled)
        assert await revision(database, id) > before


@pytest.mark.parametrize("in_transaction", [False, True])
async def test_confirm_token_with_failed_guard_is_a_conflict(
    api: Api, database: Database, in_transaction: bool
) -> None:
    made = await api.register(await api.key())
    writes = api.app.state.database_supervisor.services.writes
    token = await value(database, "SELECT id FROM tokens WHERE kind = 'device'")
    hash = await value(database, "SELECT hash FROM tokens WHERE kind = 'device'")
    at = await value(database, "SELECT now()")
    guard = await revision(database, made["device"]["id"])

    def write(**overrides: Any) -> ConfirmToken:
        values = {
            "id": made["device"]["id"],
            "access_revision": guard,
            "token_id": token,
            "hash": hash,
            "mqtt_hash": None,
            "at": at,
            "actor": "device:x",
        }
        return ConfirmToken(**{**values, **overrides})

    async def written(write: ConfirmToken) -> bool:
        if not in_transaction:
            return bool(await writes.confirm_token(write))
        async with database.transaction() as session:
            return bool(await writes.confirm_token(write, session))

    mismatches: list[dict[str, Any]] = [
        {"access_revision": guard + 1},
        {"token_id": token + 1},
        {"hash": b"x"},
        {"id": "0" * 32},
    ]
    assert [await written(write(**overrides)) for overrides in mismatches] == [False] * 4
    assert await events_of(database, "token_confirmed") == []
    assert await written(write())
    assert not await written(write(access_revision=guard + 1))
    assert len(await events_of(database, "token_confirmed")) == 1


async def test_event_of_first_use_after_lock_wait_wakes_subscribers(api: Api) -> None:
    """Otherwise subscribers would receive them one second later."""
    made = await api.register(await api.key())
    database: Database = api.app.state.database_supervisor.services.database
    async with database.transaction() as session:
        await session.execute(text("SELECT FROM devices FOR UPDATE"))
        request = asyncio.create_task(api.post(ME, made["token"]))
        lock_waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        await until(lambda: _is_true(database, lock_waits))
        recorded = asyncio.Event()
        database.recorded = recorded
    await request
    assert recorded.is_set()
