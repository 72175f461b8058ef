"""Concurrent config changes and acknowledgements, and their rows in the database."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text

from concurrency.keyed_lock import KeyedLock
from db.postgres.database import Database
from domain.devices.writes import ChangeConfig
from tests.alerts.alert_server import rows
from tests.support.client import Api
from tests.support.events import events_of
from tests.support.waiting import until

CONFIG = "config { version intervalSeconds qos updatedBy } "
DEVICE = "device { inSync configError appliedConfig { version } lastSeenAt }"


def mac(number: int) -> str:
    return f"24:6f:28:02:{number // 256:02x}:{number % 256:02x}"


async def fleet(api: Api, count: int) -> list[tuple[str, str]]:
    """Register devices and return their ids and confirmed tokens."""
    key = await api.key()
    await api.register(key, mac=mac(0))
    answers = await asyncio.gather(*(api.register(key, mac=mac(n)) for n in range(1, count + 1)))
    await asyncio.gather(*(api.ask("{ me { id } }", answer["token"]) for answer in answers))
    return [(answer["device"]["id"], answer["token"]) for answer in answers]


@pytest.fixture
def locked_ids(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of devices whose changes waited for the lock of the device."""
    ids: list[str] = []
    original_lock = KeyedLock.lock

    def recording_lock(self: KeyedLock, key: Any) -> Any:
        # Documents take turns by tokens.
        if isinstance(key, str):
            ids.append(key)
        return original_lock(self, key)

    monkeypatch.setattr(KeyedLock, "lock", recording_lock)
    return ids


async def test_concurrent_changes_and_acknowledgements(
    api: Api, database: Database, locked_ids: list[str]
) -> None:
    devices = await fleet(api, 60)
    changes = [
        api.change("updateConfig", deviceId=id, intervalSeconds=100 + n, fields=CONFIG)
        for n, (id, _) in enumerate(devices)
    ]
    for n, payload in enumerate(await asyncio.gather(*changes)):
        found = payload["config"]
        assert (payload["errors"], found["version"], found["qos"]) == ([], 2, 1)
        assert found["intervalSeconds"] == 100 + n
    reports = [
        api.change("acknowledgeConfig", token, version=2, fields=DEVICE) for _, token in devices
    ]
    for payload in await asyncio.gather(*reports):
        assert payload["device"]["inSync"] is True
        assert payload["device"]["appliedConfig"] == {"version": 2}
    assert locked_ids == []
    history = await rows(database, "SELECT version, interval_seconds, qos FROM past_configs")
    assert [tuple(row) for row in history] == [(1, 60, 1)] * 60
    events = await events_of(database, "config_changed")
    assert {event.device_id for event in events} == {id for id, _ in devices}
    assert {(event.before["version"], event.after["version"]) for event in events} == {(1, 2)}  # type: ignore[index]
    assert len({event.after["intervalSeconds"] for event in events}) == 60  # type: ignore[index]
    events = await events_of(database, "config_applied")
    assert {event.actor for event in events} == {f"device:{id}" for id, _ in devices}
    [row] = await rows(
        database,
        "SELECT count(*), bool_and(synced) AS synced, count(applied_at) FROM devices d "
        "WHERE config_version = 2",
    )
    assert tuple(row) == (60, True, 60)


async def test_change_after_lock_wait_records_same_event(api: Api, database: Database) -> None:
    """Another transaction has locked the device. The event is the same as without a wait."""
    (quick, _), (slow, _) = await fleet(api, 2)
    await api.change("updateConfig", deviceId=quick, intervalSeconds=5)
    async with database.transaction() as session:
        await session.execute(text("SELECT 1 FROM devices WHERE id = :id FOR UPDATE"), {"id": slow})
        change = asyncio.create_task(
            api.change("updateConfig", deviceId=slow, intervalSeconds=5, fields=CONFIG)
        )
        found = await api.change("updateConfig", deviceId=quick, qos=0, fields=CONFIG)
        assert found["config"]["version"] == 3
        assert not change.done()
    assert (await change)["config"]["version"] == 2
    first = {e.device_id: e for e in reversed(await events_of(database, "config_changed"))}
    one, other = first[quick], first[slow]
    assert one.actor == other.actor
    for side in ("before", "after"):
        first_facts, second_facts = getattr(one, side), getattr(other, side)
        assert {**first_facts, "updatedAt": None} == {**second_facts, "updatedAt": None}
        assert datetime.fromisoformat(first_facts["updatedAt"]).tzinfo is not None


async def test_concurrent_changes_of_one_device_get_consecutive_versions(
    api: Api, database: Database
) -> None:
    """Each change creates one version, in any order."""
    [(id, _)] = await fleet(api, 1)
    changes = [
        api.change("updateConfig", deviceId=id, intervalSeconds=n, fields=CONFIG)
        for n in range(1, 21)
    ]
    answers = [payload["config"] for payload in await asyncio.gather(*changes)]
    assert sorted(answer["version"] for answer in answers) == list(range(2, 22))
    events = await events_of(database, "config_changed")
    assert {(e.after["version"], e.after["intervalSeconds"]) for e in events} == {  # type: ignore[index]
        (answer["version"], answer["intervalSeconds"]) for answer in answers
    }
    history = await rows(database, "SELECT version FROM past_configs ORDER BY version")
    assert [row.version for row in history] == list(range(1, 21))


async def test_concurrent_changes_with_same_expected_version_succeed_once(api: Api) -> None:
    [(id, _)] = await fleet(api, 1)
    changes = [
        api.change("updateConfig", deviceId=id, intervalSeconds=n, expectedVersion=1, fields=CONFIG)
        for n in range(1, 9)
    ]
    answers = await asyncio.gather(*changes)
    assert sum(payload["errors"] == [] for payload in answers) == 1
    conflicts = [payload["errors"][0] for payload in answers if payload["errors"]]
    assert {(e["code"], e["field"]) for e in conflicts} == {("CONFLICT", "expectedVersion")}


async def test_same_values_and_repeated_acknowledgements_write_nothing(
    api: Api, database: Database
) -> None:
    [(id, token)] = await fleet(api, 1)
    same = await api.change("updateConfig", deviceId=id, intervalSeconds=60, qos=1, fields=CONFIG)
    assert same["config"]["version"] == 1
    assert await events_of(database, "config_changed") == []
    for _ in range(2):
        await api.change("acknowledgeConfig", token, version=1)
    assert len(await events_of(database, "config_applied")) == 1
    refused = await api.change("acknowledgeConfig", token, version=1, error="no", fields=DEVICE)
    assert refused["device"]["configError"] == "no"
    assert refused["device"]["appliedConfig"] == {"version": 1}
    newer = await api.change("acknowledgeConfig", token, version=2)
    assert [e["field"] for e in newer["errors"]] == ["version"]


async def test_acknowledgement_after_move_records_device_moved(
    api: Api, locked_ids: list[str]
) -> None:
    [(id, token)] = await fleet(api, 1)
    await api.change("updateDevice", id=id, location={"place": "Rome"})
    await api.change("acknowledgeConfig", token, version=2)
    assert locked_ids == []
    moved = await events_of(api.app.state.database_supervisor.services.database, "device_moved")
    assert [event.device_id for event in moved] == [id]


async def test_invalid_change_does_not_fail_its_batch(api: Api, database: Database) -> None:
    devices = await fleet(api, 6)
    writes = api.app.state.database_supervisor.services.writes

    def change(id: str, qos: int) -> ChangeConfig:
        facts: dict[str, Any] = {}
        return ChangeConfig(id, 1, 5, qos, datetime.now(UTC), "admin:1", facts, facts)

    good = [writes.change_config(change(id, 0)) for id, _ in devices[:5]]
    bad = writes.change_config(change(devices[5][0], 70_000))
    assert await asyncio.gather(*good, bad) == [True] * 5 + [False]
    assert len(await rows(database, "SELECT 1 FROM past_configs")) == 5


async def test_cancelled_change_does_not_fail_its_batch(api: Api, database: Database) -> None:
    devices = await fleet(api, 12)
    writes = api.app.state.database_supervisor.services.writes
    async with database.transaction() as session:
        await session.execute(text("LOCK TABLE past_configs IN SHARE MODE"))
        tasks = [
            asyncio.create_task(api.change("updateConfig", deviceId=id, qos=0, fields=CONFIG))
            for id, _ in devices
        ]
        await until(lambda: bool(writes._change_config.batcher._running))
        tasks[3].cancel()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert [f["config"]["version"] for f in found if isinstance(f, dict)] == [2] * 11
