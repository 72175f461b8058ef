"""Crashes and restarts of server and broker while configs change."""

from pathlib import Path

import pytest
from sqlalchemy import text

from bench.outages import soak
from db.mqtt import outbox
from db.postgres.database import Database
from domain.mqtt.accounts import Account, mosquitto_hash
from domain.mqtt.rights import Rights
from mqtt.mosquitto.files import MosquittoFiles
from server.settings import Settings
from tests.conftest import ADMIN, changed, served
from tests.mqtt.conftest import Fleet, with_mosquitto
from tests.mqtt.managed_mosquitto import SERVER_PASSWORD
from tests.mqtt.observer import Observer
from tests.support.client import Api
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import until

DEVICES, CRASHES = 30, 2


@pytest.mark.parametrize("kind", ["mosquitto", "embedded"])
async def test_soak_with_crashes_ends_with_newest_configs(
    kind: str, database_url: str, tmp_path: Path
) -> None:
    assert "have applied" in await soak(kind, database_url, tmp_path, DEVICES, CRASHES)


async def register(api: Api, count: int) -> list[str]:
    """Register devices and return their base topics."""
    found = [await api.register(ADMIN, mac=f"24:6f:28:00:20:{n:02x}") for n in range(count)]
    return [device["device"]["topics"]["data"] for device in found]


async def wait_for_configs(
    broker: Mosquitto, settings: Settings, topics: list[str], version: int
) -> None:
    """Wait until the broker retains this config version for all topics."""
    fleet = Fleet(Api.__new__(Api), broker.port, broker.second_port, settings)
    observer: Observer = await fleet.observer()
    await until(lambda: observer.configs() == {f"{topic}/config": version for topic in topics})
    await observer.close()


async def test_broker_without_retained_messages_gets_all_configs_again(
    settings: Settings, mosquitto: Mosquitto
) -> None:
    broker_settings = with_mosquitto(settings, mosquitto)
    async with served(broker_settings) as api:
        topics = await register(api, 20)
        await wait_for_configs(mosquitto, broker_settings, topics, 1)
        mosquitto.kill()
        mosquitto.start()
        await wait_for_configs(mosquitto, broker_settings, topics, 1)


async def test_broker_restored_to_older_state_gets_newer_configs(
    settings: Settings, mosquitto: Mosquitto, database: Database
) -> None:
    """The broker has lost all changes after its last save, including a deletion."""
    mosquitto.stop()
    mosquitto.lines = (
        *mosquitto.lines,
        "persistence true",
        f"persistence_location {mosquitto.folder}/",
    )
    mosquitto.start()
    broker_settings = with_mosquitto(settings, mosquitto)
    async with served(broker_settings) as api:
        topics = await register(api, 20)
        await wait_for_configs(mosquitto, broker_settings, topics, 1)
        mosquitto.save()
        nodes = (await api.ask("{ devices { nodes { id topics { data } } } }"))["devices"]["nodes"]
        await api.change("deleteDevice", id=nodes[0]["id"])
        for node in nodes[1:]:
            await api.change("updateConfig", deviceId=node["id"], qos=0)
        remaining = [node["topics"]["data"] for node in nodes[1:]]
        await wait_for_configs(mosquitto, broker_settings, remaining, 2)
        mosquitto.kill()
        mosquitto.start()
        await wait_for_configs(mosquitto, broker_settings, remaining, 2)
    async with database.transaction() as session:
        shards, _ = await outbox.shards_with_work(session)
        assert shards == set()


async def test_cleared_topics_stay_cleared_after_restore(
    settings: Settings, mosquitto: Mosquitto
) -> None:
    """Also if nothing else is published after the broker's last save."""
    mosquitto.stop()
    location = f"persistence_location {mosquitto.folder}/"
    mosquitto.lines = (*mosquitto.lines, "persistence true", location)
    mosquitto.start()
    broker_settings = with_mosquitto(settings, mosquitto)
    async with served(broker_settings) as api:
        deleted, moved = await register(api, 2)
        await wait_for_configs(mosquitto, broker_settings, [deleted, moved], 1)
        mosquitto.save()
        id = moved.rpartition("/")[2]
        await api.change("deleteDevice", id=deleted.rpartition("/")[2])
        await api.change("updateDevice", id=id, location={"place": "Rome"})
        token = (await api.change("rotateDeviceToken", fields="token", id=id))["token"]
        await api.change("acknowledgeConfig", token, version=2)
        new_topic = moved.replace("paris", "rome")
        await wait_for_configs(mosquitto, broker_settings, [new_topic], 2)
        mosquitto.kill()
        mosquitto.start()
        await wait_for_configs(mosquitto, broker_settings, [new_topic], 2)


async def test_configs_dropped_by_the_broker_stay_pending(
    settings: Settings, mosquitto: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    """The server has no rights, but Mosquitto acknowledges its messages all the same."""
    rights = Rights(read=("#",))
    MosquittoFiles(mosquitto.folder / "rights", mosquitto.pid_file).write(
        [Account("rollcall", mosquitto_hash(SERVER_PASSWORD), rights)]
    )
    broker_settings = changed(with_mosquitto(settings, mosquitto), mosquitto_dir=None)
    async with served(broker_settings) as api:
        await register(api, 1)
        await until(lambda: "user all rights" in caplog.text or "ended" in caplog.text)
        assert "\nrollcall_configs_undelivered 1.0" in (await api.http.get("/metrics")).text


async def test_server_publishes_changes_made_while_it_was_stopped(
    settings: Settings, mosquitto: Mosquitto
) -> None:
    """The change is made through a server without a broker."""
    broker_settings = with_mosquitto(settings, mosquitto)
    async with served(broker_settings) as api:
        topics = await register(api, 5)
        await wait_for_configs(mosquitto, broker_settings, topics, 1)
    async with served(settings) as api:
        for topic in topics:
            await api.change("updateConfig", deviceId=topic.rpartition("/")[2], qos=0)
    async with served(broker_settings):
        await wait_for_configs(mosquitto, broker_settings, topics, 2)


async def test_two_servers_publish_each_config_once(
    settings: Settings, mosquitto: Mosquitto, database: Database
) -> None:
    broker_settings = with_mosquitto(settings, mosquitto)
    other = changed(broker_settings, mosquitto_dir=None)
    async with served(broker_settings) as api, served(other):
        topics = await register(api, 40)
        await wait_for_configs(mosquitto, broker_settings, topics, 1)
        observer = await Fleet(
            api, mosquitto.port, mosquitto.second_port, broker_settings
        ).observer()
        async with database.transaction() as session:
            await session.execute(text("UPDATE devices SET config_version = config_version + 1"))
        await until(lambda: set(observer.configs().values()) == {2})
        topics = [topic for topic, payload in observer.received if payload.startswith(b'{"v":2,')]
        assert len(topics) == len(set(topics)) == 40
        await observer.close()


async def test_unreachable_broker_is_retried_and_reported_in_metrics(
    settings: Settings, mosquitto: Mosquitto
) -> None:
    mosquitto.stop()
    broker_settings = with_mosquitto(settings, mosquitto)
    async with served(broker_settings) as api:
        topics = await register(api, 2)
        metrics = (await api.http.get("/metrics")).text
        assert "\nrollcall_mqtt_up 0.0" in metrics
        assert "\nrollcall_configs_undelivered 2.0" in metrics
        mosquitto.start()
        await wait_for_configs(mosquitto, broker_settings, topics, 1)
        assert "\nrollcall_mqtt_up 1.0" in (await api.http.get("/metrics")).text
