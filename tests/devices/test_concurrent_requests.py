"""Concurrent requests for approval, on two servers and in one batch, and decisions meanwhile."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from db.postgres.database import Database
from domain.access.tokens import hash_token
from domain.devices.writes import RequestApproval
from server.settings import Settings
from tests.alerts.alert_server import rows
from tests.conftest import served
from tests.devices.registrations import mac
from tests.devices.requests import BENCH_ID, ask_from, open_requests, used_device
from tests.support.client import Api
from tests.support.events import events_of

HASHES = (
    "SELECT r.address, t.hash FROM enrolment_requests r JOIN tokens t ON t.id = r.token_id "
    "WHERE t.waiting AND t.device_id = r.device_id"
)
UNBOUND = (
    "SELECT 1 FROM tokens t WHERE waiting AND NOT EXISTS ("
    "SELECT FROM enrolment_requests r WHERE r.token_id = t.id)"
)


async def test_twenty_requests_from_ten_addresses_on_two_servers(
    settings: Settings, database: Database
) -> None:
    """Only the requests of one address replace each other's tokens."""
    async with served(settings) as one, served(settings) as other:
        await used_device(one)
        key = await one.key()
        addresses = [f"10.0.0.{n % 10}" for n in range(20)]
        answers = await asyncio.gather(
            *(
                ask_from(api, address, key)
                for address, api in zip(addresses, (one, other) * 10, strict=True)
            )
        )
        assert {answer["outcome"] for answer in answers} == {"PENDING"}
        stored = {(address, bytes(hash)) for address, hash in await rows(database, HASHES)}
        assert len(stored) == 5
        issued = {
            (address, hash_token(answer["token"]))
            for address, answer in zip(addresses, answers, strict=True)
            if answer["token"]
        }
        assert stored <= issued
        assert {address for address, _ in issued} == {address for address, _ in stored}
        asked = {r["address"]: r["timesAsked"] for r in await open_requests(one)}
        assert asked == dict.fromkeys(asked, 2)
        assert len(issued) == 10
        assert len(await events_of(database, "enrolment_requested")) == 5
        assert await rows(database, UNBOUND) == []


async def test_approval_during_requests(settings: Settings, database: Database) -> None:
    """The approved request's token is the only valid one, and later requests are new ones."""
    async with served(settings) as one, served(settings) as other:
        await used_device(one)
        key = await one.key()
        device = await ask_from(one, "10.0.0.1", key)
        [request] = await open_requests(one)
        attackers = [ask_from(other, f"10.6.6.{n % 4}", key) for n in range(12)]
        approval = other.change("approveDevice", id=BENCH_ID, request=request["id"])
        *answers, payload = await asyncio.gather(*attackers, approval)
        assert payload["errors"] == []
        assert (await one.register(device["token"]))["outcome"] == "KNOWN"
        for answer in answers:
            if answer["token"]:
                assert await one.code("{ me { id } }", answer["token"]) in (
                    "FORBIDDEN",
                    "UNAUTHENTICATED",
                )
        valid = "SELECT 1 FROM tokens WHERE kind = 'device' AND NOT waiting AND revoked_at IS NULL"
        assert len(await rows(database, valid)) == 1
        left = await open_requests(one)
        assert request["id"] not in [each["id"] for each in left]
        assert len(await rows(database, HASHES)) == len(left)
        assert await rows(database, UNBOUND) == []


async def test_concurrent_decisions_on_one_device(api: Api, database: Database) -> None:
    """One of two administrators is first; the other one's request is outdated."""
    await used_device(api)
    key = await api.key()
    for number in range(2):
        await ask_from(api, f"10.0.0.{number}", key)
    ids = [each["id"] for each in await open_requests(api)]
    payloads = await asyncio.gather(
        *(api.change("approveDevice", id=BENCH_ID, request=id) for id in ids)
    )
    assert sorted(len(payload["errors"]) for payload in payloads) == [0, 1]
    assert len(await events_of(database, "device_approved")) == 1


@pytest.mark.parametrize("in_transaction", [False, True])
async def test_request_with_failed_guard_is_a_conflict(
    api: Api, database: Database, in_transaction: bool
) -> None:
    await used_device(api)
    writes = api.app.state.database_supervisor.services.writes
    [(revision,)] = await rows(database, "SELECT access_revision FROM devices")

    async def written(**overrides: Any) -> bool:
        write = requested(**{"id": BENCH_ID, "revision": revision, **overrides})
        if not in_transaction:
            return bool(await writes.request_approval(write))
        async with database.transaction() as session:
            return bool(await writes.request_approval(write, session))

    assert not await written(revision=revision + 1)
    assert not await written(id="0" * 32)
    assert await rows(database, HASHES) == []
    assert await written()
    assert not await written(hash=b"another")
    assert len(await rows(database, HASHES)) == 1


async def test_one_batch_with_requests_of_all_sorts(api: Api, database: Database) -> None:
    """New and repeated, foreign and own requests, and a conflict, in one statement."""
    key = await api.key()
    answers = [await api.register(key, mac=mac(number)) for number in range(5)]
    ids = [answer["device"]["id"] for answer in answers]
    await asyncio.gather(*(api.ask("{ me { id } }", answer["token"]) for answer in answers))
    await ask_from(api, "10.0.0.1", key, mac=mac(1))
    [(repeated, times)] = await rows(database, "SELECT id, times_asked FROM enrolment_requests")
    assert times == 1
    state = await rows(database, "SELECT id, access_revision FROM devices")
    revisions = {row.id: row.access_revision for row in state}
    writes = api.app.state.database_supervisor.services.writes
    batch = [
        requested(ids[0], revisions[ids[0]], hash=b"0"),
        requested(ids[1], revisions[ids[1]], hash=b"1", repeats=repeated),
        requested(ids[2], revisions[ids[2]], hash=b"2", foreign_owner=True),
        requested(ids[3], revisions[ids[3]] + 1, hash=b"3"),
        requested(ids[4], revisions[ids[4]], hash=b"4", key_id=None, address=None),
        requested("0" * 32, 0, hash=b"5"),
    ]
    connection = writes._request_approval._connections[0]
    assert set(await connection.write(batch)) == {batch[0], batch[1], batch[2], batch[4]}
    found = await rows(
        database,
        "SELECT r.device_id, t.hash, r.times_asked, r.foreign_owner, r.address, d.awaits_approval "
        "FROM enrolment_requests r JOIN tokens t ON t.id = r.token_id "
        "JOIN devices d ON d.id = r.device_id ORDER BY t.hash",
    )
    assert [tuple(row) for row in found] == [
        (ids[0], b"0", 1, False, "10.0.0.9", True),
        (ids[1], b"1", 2, False, "10.0.0.1", True),
        (ids[2], b"2", 1, True, "10.0.0.9", False),
        (ids[4], b"4", 1, False, None, True),
    ]
    events = await events_of(database, "enrolment_requested")
    assert [(event.device_id, event.owner_id is None) for event in events] == [
        (ids[1], False),
        (ids[0], False),
        (ids[2], True),
        (ids[4], False),
    ]
    assert await rows(database, UNBOUND) == []


def requested(id: str, revision: int, **overrides: Any) -> RequestApproval:
    values: dict[str, Any] = {
        "id": id,
        "access_revision": revision,
        "repeats": None,
        "hash": id.encode(),
        "mqtt_hash": "x",
        "key_id": 2,
        "address": "10.0.0.9",
        "sensor_model": "BME280",
        "firmware": None,
        "foreign_owner": False,
        "at": datetime.now(UTC),
        "actor": "enrol:2",
    }
    return RequestApproval(**{**values, **overrides})
