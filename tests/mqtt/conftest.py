"""The application with a real broker: Mosquitto or the embedded one."""

import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from server.settings import Settings
from tests.conftest import ADMIN, changed, served
from tests.mqtt.certificates import Certificates
from tests.mqtt.managed_mosquitto import managed_mosquitto, settings_for
from tests.mqtt.mosquitto.file_broker import SERVER, Broker, device
from tests.mqtt.observer import Observer, open_observer
from tests.support.client import Api
from tests.support.mosquitto import Mosquitto

BROKERS = pytest.StashKey[list[Mosquitto]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Add the log of each Mosquitto to the report of a failed test."""
    report = yield
    if report.failed:
        for broker in item.stash.get(BROKERS, []):
            report.sections.append((f"Mosquitto at {broker.port}", broker.log.read_text()))
    return report


@pytest.fixture(autouse=True)
def brokers(
    request: pytest.FixtureRequest,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Record the brokers that a test starts, so that their logs are reported on failure."""
    started = request.node.stash.setdefault(BROKERS, [])
    start = Mosquitto.launch

    def launch(broker: Mosquitto) -> None:
        if broker not in started:
            started.append(broker)
        start(broker)

    monkeypatch.setattr(Mosquitto, "launch", launch)
    caplog.set_level(logging.DEBUG, "rollcall.mqtt")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A Mosquitto with accounts for the server and for the devices `one` and `two`."""
    broker = Broker(tmp_path)
    broker.files.write([SERVER, device("one"), device("two")])
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


@dataclass
class Fleet:
    """A server with its broker. `port`: for devices. `second_port`: for clients with several
    connections.
    """

    api: Api
    port: int
    second_port: int
    settings: Settings

    async def observer(self) -> Observer:
        """Return a client that is subscribed to all topics.

        It retries, because Mosquitto accepts a new account only after a reload.
        """
        observer = await open_observer(self.second_port, "admin", ADMIN)
        await observer.subscribe("#")
        return observer


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A Mosquitto whose files Rollcall writes. It loses retained messages when it stops."""
    broker = managed_mosquitto(tmp_path)
    broker.start()
    yield broker
    broker.stop()


def with_mosquitto(settings: Settings, broker: Mosquitto) -> Settings:
    return changed(settings, **settings_for(broker))


@pytest_asyncio.fixture(params=["mosquitto", "embedded"])
async def fleet(request: pytest.FixtureRequest, settings: Settings) -> AsyncIterator[Fleet]:
    if request.param == "mosquitto":
        broker = request.getfixturevalue("mosquitto")
        broker_settings = with_mosquitto(settings, broker)
        async with served(broker_settings) as api:
            yield Fleet(api, broker.port, broker.second_port, broker_settings)
    else:
        broker_settings = changed(settings, mqtt="on", mqtt_port=0)
        async with served(broker_settings) as api:
            port = api.app.state.broker.advertised_address.port
            yield Fleet(api, port, port, broker_settings)
