"""Publishing of configs to the broker, and reports of devices."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest_asyncio
from sqlalchemy import text

from db.postgres.database import Database
from tests.mqtt.conftest import Fleet
from tests.mqtt.observer import Observer, open_observer
from tests.support.events import events_of
from tests.support.waiting import WAIT_SECONDS, until

QUERY = """query ($id: ID!) { device(id: $id) {
  inSync online statusAt lastSeenAt firmware configError topics { data listen }
  config { version } appliedConfig { version } } }"""


@dataclass
class Registered:
    id: str
    topic: str
    token: str


async def registered(fleet: Fleet, number: int = 1, **values: Any) -> Registered:
    key = await fleet.api.key()
    found = await fleet.api.register(key, mac=f"24:6f:28:00:10:{number:02x}", **values)
    device = found["device"]
    return Registered(device["id"], device["topics"]["data"], found["token"])


async def connected(fleet: Fleet, device: Registered) -> Observer:
    """Connect as the device."""
    return await open_observer(fleet.port, device.id, device.token)


async def device_state(fleet: Fleet, device: Registered) -> Any:
    return (await fleet.api.ask(QUERY, id=device.id))["device"]


async def wait_for_state(fleet: Fleet, device: Registered, **expected: Any) -> None:
    """Wait until the API returns these values for the device."""
    shown: dict[str, Any] = {}
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        shown = await device_state(fleet, device)
        if all(shown[key] == value for key, value in expected.items()):
            return
        await asyncio.sleep(0.02)
    raise AssertionError((expected, shown))


@pytest_asyncio.fixture
async def observer(fleet: Fleet) -> AsyncIterator[Observer]:
    observer = await fleet.observer()
    yield observer
    await observer.close()


async def test_config_is_retained_on_the_config_topic(fleet: Fleet, observer: Observer) -> None:
    device = await registered(fleet)
    await until(lambda: observer.config(device.topic))
    config = observer.config(device.topic)
    assert config
    assert {**config, "at": 0} == {"v": 1, "interval": 60, "qos": 1, "at": 0}
    await fleet.api.change("updateConfig", deviceId=device.id, intervalSeconds=5, qos=2)
    await until(lambda: (observer.config(device.topic) or {})["v"] == 2)
    config = observer.config(device.topic)
    assert config
    assert (config["interval"], config["qos"]) == (5, 2)
    late = await fleet.observer()
    await until(lambda: late.config(device.topic))
    assert late.config(device.topic) == config
    await late.close()


async def test_many_changes_are_published_in_order_up_to_the_last(
    fleet: Fleet, observer: Observer
) -> None:
    device = await registered(fleet)
    for interval in range(1, 21):
        await fleet.api.change("updateConfig", deviceId=device.id, intervalSeconds=interval)
    await until(lambda: (observer.config(device.topic) or {}).get("v") == 21)
    versions = [
        json.loads(payload)["v"]
        for topic, payload in observer.received
        if topic == f"{device.topic}/config"
    ]
    assert versions == sorted(set(versions))


async def test_retained_messages_of_deleted_device_are_cleared(
    fleet: Fleet, observer: Observer
) -> None:
    device = await registered(fleet)
    client = await connected(fleet, device)
    for leaf, payload in (("", "21.5"), ("/state", '{"v":1}'), ("/status", "online")):
        await client.publish(device.topic + leaf, payload)
    await client.close()
    await until(lambda: sum(topic.startswith(device.topic) for topic in observer.latest) == 4)
    await fleet.api.change("deleteDevice", id=device.id)
    await until(lambda: not any(topic.startswith(device.topic) for topic in observer.latest))
    again = await registered(fleet)
    assert again.id == device.id
    await until(lambda: (observer.config(device.topic) or {}).get("v") == 2)


async def test_config_of_pending_device_is_not_published(
    fleet: Fleet, observer: Observer, database: Database
) -> None:
    device, other = await registered(fleet), await registered(fleet, 2)
    async with database.transaction() as session:
        await session.execute(
            text("UPDATE devices SET state = 'pending', config_version = 2 WHERE id = :id"),
            {"id": device.id},
        )
    await fleet.api.change("updateConfig", deviceId=other.id, qos=0)
    await until(lambda: (observer.config(other.topic) or {}).get("v") == 2)
    assert (observer.config(device.topic) or {"v": 1})["v"] == 1


async def test_state_report_updates_applied_config(fleet: Fleet, database: Database) -> None:
    device = await registered(fleet)
    client = await connected(fleet, device)
    state = f"{device.topic}/state"
    await client.publish(state, '{"v":1,"fw":"2.0"}')
    await wait_for_state(fleet, device, inSync=True, firmware="2.0", appliedConfig={"version": 1})
    await fleet.api.change("updateConfig", deviceId=device.id, qos=0)
    await wait_for_state(fleet, device, inSync=False)
    await client.publish(state, '{"v":2,"error":"no QoS 0 here"}')
    await wait_for_state(fleet, device, inSync=False, configError="no QoS 0 here")
    await client.publish(state, '{"v":2}')
    await wait_for_state(fleet, device, inSync=True, configError=None, appliedConfig={"version": 2})
    for nonsense in ('{"v":1}', '{"v":99}', '{"v":true}', "[]", "{", "x" * 3_000, '{"v":-1}'):
        await client.publish(state, nonsense)
    await client.publish(state, '{"v":2,"fw":"2.1"}')
    await wait_for_state(fleet, device, firmware="2.1", inSync=True, appliedConfig={"version": 2})
    await client.close()
    applied = await events_of(database, "config_applied")
    assert {event.actor for event in applied} == {f"device:{device.id}"}
    assert [event.after["version"] for event in applied if event.after] == [1, 2, 2]


async def test_online_and_offline_by_mqtt_status(fleet: Fleet) -> None:
    device = await registered(fleet)
    status = f"{device.topic}/status"
    client = await open_observer(fleet.port, device.id, device.token, status, client_id=device.id)
    await client.publish(status, "online")
    await wait_for_state(fleet, device, online=True)
    assert (await device_state(fleet, device))["lastSeenAt"]
    fleet_counts = (await fleet.api.ask("{ fleet { online } }"))["fleet"]
    assert fleet_counts == {"online": 1}
    listed = await fleet.api.ask("{ devices(filter: {online: false}) { totalCount } }")
    assert listed == {"devices": {"totalCount": 0}}
    client.client.socket().shutdown(socket.SHUT_RDWR)
    await wait_for_state(fleet, device, online=False)
    await client.close()


async def test_moved_device_gets_its_new_topic_on_the_former_one(
    fleet: Fleet, observer: Observer, database: Database
) -> None:
    device = await registered(fleet)
    client = await connected(fleet, device)
    await client.subscribe(f"{device.topic}/config", 1)
    await client.publish(f"{device.topic}/status", "online")
    await wait_for_state(fleet, device, online=True)
    await fleet.api.change("updateDevice", id=device.id, location={"place": "Rome"})
    moved = f"acme/rome/temperature/{device.id}"
    await until(lambda: (client.config(device.topic) or {}).get("topic") == moved)
    await until(lambda: observer.config(moved))
    # The device may publish to both topics until it has acknowledged on the new one.
    await client.publish(f"{device.topic}/state", '{"v":1}')
    await wait_for_state(fleet, device, appliedConfig={"version": 1})
    await client.close()
    # Mosquitto may not have the new rights yet and drops the first message; the next config
    # triggers another report.
    client = await connected(fleet, device)
    await client.subscribe(f"{moved}/config", 1)
    client.client.on_message = lambda *_: client.client.publish(
        f"{moved}/state", '{"v":2}', 1, retain=True
    )
    client.client.publish(f"{moved}/state", '{"v":2}', 1, retain=True)
    await wait_for_state(fleet, device, inSync=True)
    await client.close()
    await until(lambda: not any(topic.startswith(device.topic) for topic in observer.latest))
    assert observer.config(moved)
    [event] = await events_of(database, "device_moved")
    assert event.after == {"topic": moved}


async def test_link_adds_listen_filters_to_the_config(fleet: Fleet, observer: Observer) -> None:
    device = await registered(fleet)
    await fleet.api.change("linkDevice", listenerId=device.id, place="Rome")
    await until(lambda: (observer.config(device.topic) or {}).get("listen") == ["acme/rome/+/+"])
