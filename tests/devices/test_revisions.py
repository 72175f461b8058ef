"""Many configs that change, and are applied, at once; what is in the database afterwards."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text

from concurrency.keyed_lock import KeyedLock
from db.postgres.database import Database
from domain.devices.changes import ChangeConfig
from tests.alerts.alerted import rows
from tests.support.client import Api
from tests.support.events import events_of
from tests.support.waiting import until

CONFIG = "config { version intervalSeconds qos updatedBy } "
DEVICE = "device { inSync configError appliedConfig { version } lastSeenAt }"


def mac(number: int) -> str:
    return f"24:6f:28:02:{number // 256:02x}:{number % 256:02x}"


async def fleet(api: Api, count: int) -> list[tuple[str, str]]:
    """Ids and tokens, used before."""
    key = await api.key()
    await api.register(key, mac=mac(0))
    answers = await asyncio.gather(*(api.register(key, mac=mac(n)) for n in range(1, count + 1)))
    await asyncio.gather(*(api.ask("{ me { id } }", answer["token"]) for answer in answers))
    return [(answer["device"]["id"], answer["token"]) for answer in answers]


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Gets the ids of devices that are changed one by one."""
    done: list[str] = []
    hold = KeyedLock.hold

    def held(self: KeyedLock, id: str) -> Any:
        done.append(id)
        return hold(self, id)

    monkeypatch.setattr(KeyedLock, "hold", held)
    return done


async def test_a_crowd_of_changes_and_what_becomes_of_them(
    api: Api, database: Database, alone: list[str]
) -> None:
    known = await fleet(api, 60)
    changes = [
        api.change("updateConfig", deviceId=id, intervalSeconds=100 + n, fields=CONFIG)
        for n, (id, _) in enumerate(known)
    ]
    for n, payload in enumerate(await asyncio.gather(*changes)):
        found = payload["config"]
        assert (payload["errors"], found["version"], found["qos"]) == ([], 2, 1)
        assert found["intervalSeconds"] == 100 + n
    reports = [
        api.change("acknowledgeConfig", token, version=2, fields=DEVICE) for _, token in known
    ]
    for payload in await asyncio.gather(*reports):
        assert payload["device"]["inSync"] is True
        assert payload["device"]["appliedConfig"] == {"version": 2}
    assert alone == []
    past = await rows(database, "SELECT version, interval_seconds, qos FROM past_configs")
    assert [tuple(row) for row in past] == [(1, 60, 1)] * 60
    told = await events_of(database, "config_changed")
    assert {event.device_id for event in told} == {id for id, _ in known}
    assert {(event.before["version"], event.after["version"]) for event in told} == {(1, 2)}  # type: ignore[index]
    assert len({event.after["intervalSeconds"] for event in told}) == 60  # type: ignore[index]
    told = await events_of(database, "config_applied")
    assert {event.actor for event in told} == {f"device:{id}" for id, _ in known}
    [row] = await rows(
        database,
        "SELECT count(*), bool_and(synced) AS synced, count(applied_at) FROM devices d "
        "WHERE config_version = 2",
    )
    assert tuple(row) == (60, True, 60)


async def test_a_change_that_waits_writes_the_same(api: Api, database: Database) -> None:
    """A device that another transaction has locked: the same is in the log."""
    (quick, _), (slow, _) = await fleet(api, 2)
    await api.change("updateConfig", deviceId=quick, intervalSeconds=5)
    async with database.transaction() as session:
        await session.execute(text("SELECT 1 FROM devices WHERE id = :id FOR UPDATE"), {"id": slow})
        waiting = asyncio.create_task(
            api.change("updateConfig", deviceId=slow, intervalSeconds=5, fields=CONFIG)
        )
        found = await api.change("updateConfig", deviceId=quick, qos=0, fields=CONFIG)
        assert found["config"]["version"] == 3
        assert not waiting.done()
    assert (await waiting)["config"]["version"] == 2
    first = {e.device_id: e for e in reversed(await events_of(database, "config_changed"))}
    one, other = first[quick], first[slow]
    assert one.actor == other.actor
    for side in ("before", "after"):
        mine, theirs = getattr(one, side), getattr(other, side)
        assert {**mine, "updatedAt": None} == {**theirs, "updatedAt": None}
        assert datetime.fromisoformat(mine["updatedAt"]).tzinfo is not None


async def test_many_change_the_same_device(api: Api, database: Database) -> None:
    """Each change is one version, whoever comes first."""
    [(id, _)] = await fleet(api, 1)
    changes = [
        api.change("updateConfig", deviceId=id, intervalSeconds=n, fields=CONFIG)
        for n in range(1, 21)
    ]
    answers = [payload["config"] for payload in await asyncio.gather(*changes)]
    assert sorted(answer["version"] for answer in answers) == list(range(2, 22))
    told = await events_of(database, "config_changed")
    assert {(e.after["version"], e.after["intervalSeconds"]) for e in told} == {  # type: ignore[index]
        (answer["version"], answer["intervalSeconds"]) for answer in answers
    }
    past = await rows(database, "SELECT version FROM past_configs ORDER BY version")
    assert [row.version for row in past] == list(range(1, 21))


async def test_one_of_many_has_the_version_that_it_expects(api: Api) -> None:
    [(id, _)] = await fleet(api, 1)
    changes = [
        api.change("updateConfig", deviceId=id, intervalSeconds=n, expectedVersion=1, fields=CONFIG)
        for n in range(1, 9)
    ]
    answers = await asyncio.gather(*changes)
    assert sum(payload["errors"] == [] for payload in answers) == 1
    conflicts = [payload["errors"][0] for payload in answers if payload["errors"]]
    assert {(e["code"], e["field"]) for e in conflicts} == {("CONFLICT", "expectedVersion")}


async def test_values_in_force_write_nothing(api: Api, database: Database) -> None:
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


async def test_a_device_that_arrives_has_moved(api: Api, alone: list[str]) -> None:
    [(id, token)] = await fleet(api, 1)
    await api.change("updateDevice", id=id, location={"place": "Rome"})
    await api.change("acknowledgeConfig", token, version=2)
    assert alone == []
    moved = await events_of(api.app.state.database_supervisor.services.database, "device_moved")
    assert [event.device_id for event in moved] == [id]


async def test_one_bad_change_fails_no_neighbour(api: Api, database: Database) -> None:
    known = await fleet(api, 6)
    writes = api.app.state.database_supervisor.services.writes

    def change(id: str, qos: int) -> ChangeConfig:
        facts: dict[str, Any] = {}
        return ChangeConfig(id, 1, 5, qos, datetime.now(UTC), "admin:1", facts, facts)

    good = [writes.change_config(change(id, 0)) for id, _ in known[:5]]
    bad = writes.change_config(change(known[5][0], 70_000))
    assert await asyncio.gather(*good, bad) == [True] * 5 + [False]
    assert len(await rows(database, "SELECT 1 FROM past_configs")) == 5


async def test_who_goes_away_takes_nobody_along(api: Api, database: Database) -> None:
    known = await fleet(api, 12)
    writes = api.app.state.database_supervisor.services.writes
    async with database.transaction() as session:
        await session.execute(text("LOCK TABLE past_configs IN SHARE MODE"))
        tasks = [
            asyncio.create_task(api.change("updateConfig", deviceId=id, qos=0, fields=CONFIG))
            for id, _ in known
        ]
        await until(lambda: bool(writes._change_config.batcher._running))
        tasks[3].cancel()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert [f["config"]["version"] for f in found if isinstance(f, dict)] == [2] * 11
