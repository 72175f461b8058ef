"""Deaths of server and broker while configs change; the soak of `bench/`, small."""

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
from tests.mqtt.observer import Observer
from tests.mqtt.ruled import SERVER_PASSWORD
from tests.support.client import Api
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import until

DEVICES, DEATHS = 30, 2


@pytest.mark.parametrize("kind", ["mosquitto", "embedded"])
async def test_every_device_ends_with_its_newest_config(
    kind: str, database_url: str, tmp_path: Path
) -> None:
    assert "have applied" in await soak(kind, database_url, tmp_path, DEVICES, DEATHS)


async def registered(api: Api, count: int) -> list[str]:
    """Base topics."""
    found = [await api.register(ADMIN, mac=f"24:6f:28:00:20:{n:02x}") for n in range(count)]
    return [device["device"]["topics"]["data"] for device in found]


async def all_there(broker: Mosquitto, settings: Settings, topics: list[str], version: int) -> None:
    """Waits until the broker keeps this version of all configs."""
    fleet = Fleet(Api.__new__(Api), broker.port, broker.second_port, settings)
    observer: Observer = await fleet.observer()
    await until(lambda: observer.configs() == {f"{topic}/config": version for topic in topics})
    await observer.close()


async def test_a_broker_that_forgets_is_told_everything_again(
    settings: Settings, mosquitto: Mosquitto
) -> None:
    own = with_mosquitto(settings, mosquitto)
    async with served(own) as api:
        topics = await registered(api, 20)
        await all_there(mosquitto, own, topics, 1)
        mosquitto.kill()
        mosquitto.start()
        await all_there(mosquitto, own, topics, 1)


async def test_a_broker_that_comes_back_with_an_older_state(
    settings: Settings, mosquitto: Mosquitto, database: Database
) -> None:
    """It has saved itself, and lost what came after that, a deletion among it."""
    mosquitto.stop()
    mosquitto.lines = (
        *mosquitto.lines,
        "persistence true",
        f"persistence_location {mosquitto.folder}/",
    )
    mosquitto.start()
    own = with_mosquitto(settings, mosquitto)
    async with served(own) as api:
        topics = await registered(api, 20)
        await all_there(mosquitto, own, topics, 1)
        mosquitto.save()
        nodes = (await api.ask("{ devices { nodes { id topics { data } } } }"))["devices"]["nodes"]
        await api.change("deleteDevice", id=nodes[0]["id"])
        for node in nodes[1:]:
            await api.change("updateConfig", deviceId=node["id"], qos=0)
        left = [node["topics"]["data"] for node in nodes[1:]]
        await all_there(mosquitto, own, left, 2)
        mosquitto.kill()
        mosquitto.start()
        await all_there(mosquitto, own, left, 2)
    async with database.transaction() as session:
        owed, _ = await outbox.waiting(session)
        assert owed == set()


async def test_what_was_cleared_stays_cleared(settings: Settings, mosquitto: Mosquitto) -> None:
    """Although nothing else was published after the broker had saved itself."""
    mosquitto.stop()
    kept = f"persistence_location {mosquitto.folder}/"
    mosquitto.lines = (*mosquitto.lines, "persistence true", kept)
    mosquitto.start()
    own = with_mosquitto(settings, mosquitto)
    async with served(own) as api:
        gone, moved = await registered(api, 2)
        await all_there(mosquitto, own, [gone, moved], 1)
        mosquitto.save()
        id = moved.rpartition("/")[2]
        await api.change("deleteDevice", id=gone.rpartition("/")[2])
        await api.change("updateDevice", id=id, location={"place": "Rome"})
        token = (await api.change("rotateDeviceToken", fields="token", id=id))["token"]
        await api.change("acknowledgeConfig", token, version=2)
        there = moved.replace("paris", "rome")
        await all_there(mosquitto, own, [there], 2)
        mosquitto.kill()
        mosquitto.start()
        await all_there(mosquitto, own, [there], 2)


async def test_nothing_counts_as_delivered_that_the_broker_drops(
    settings: Settings, mosquitto: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    """Without rights, and with the acknowledgement all the same."""
    rights = Rights(read=("#",))
    MosquittoFiles(mosquitto.folder / "rights", mosquitto.pid_file).write(
        [Account("rollcall", mosquitto_hash(SERVER_PASSWORD), rights)]
    )
    own = changed(with_mosquitto(settings, mosquitto), mosquitto_dir=None)
    async with served(own) as api:
        await registered(api, 1)
        await until(lambda: "needs all rights" in caplog.text or "ended" in caplog.text)
        assert "\nrollcall_configs_undelivered 1.0" in (await api.http.get("/metrics")).text


async def test_a_server_that_was_away_delivers_what_was_changed_meanwhile(
    settings: Settings, mosquitto: Mosquitto
) -> None:
    """Changed through a server that knows nothing of the broker, and taken up where it stopped."""
    own = with_mosquitto(settings, mosquitto)
    async with served(own) as api:
        topics = await registered(api, 5)
        await all_there(mosquitto, own, topics, 1)
    async with served(settings) as api:
        for topic in topics:
            await api.change("updateConfig", deviceId=topic.rpartition("/")[2], qos=0)
    async with served(own):
        await all_there(mosquitto, own, topics, 2)


async def test_two_servers_share_the_work(
    settings: Settings, mosquitto: Mosquitto, database: Database
) -> None:
    own = with_mosquitto(settings, mosquitto)
    other = changed(own, mosquitto_dir=None)
    async with served(own) as api, served(other):
        topics = await registered(api, 40)
        await all_there(mosquitto, own, topics, 1)
        observer = await Fleet(api, mosquitto.port, mosquitto.second_port, own).observer()
        async with database.transaction() as session:
            await session.execute(text("UPDATE devices SET config_version = config_version + 1"))
        await until(lambda: set(observer.configs().values()) == {2})
        told = [topic for topic, payload in observer.heard if payload.startswith(b'{"v":2,')]
        assert len(told) == len(set(told)) == 40
        await observer.close()


async def test_what_can_not_be_reached_is_tried_until_it_can(
    settings: Settings, mosquitto: Mosquitto
) -> None:
    mosquitto.stop()
    own = with_mosquitto(settings, mosquitto)
    async with served(own) as api:
        topics = await registered(api, 2)
        told = (await api.http.get("/metrics")).text
        assert "\nrollcall_mqtt_up 0.0" in told
        assert "\nrollcall_configs_undelivered 2.0" in told
        mosquitto.start()
        await all_there(mosquitto, own, topics, 1)
        assert "\nrollcall_mqtt_up 1.0" in (await api.http.get("/metrics")).text
