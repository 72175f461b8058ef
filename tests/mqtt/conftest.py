"""The application with a real broker: Mosquitto, and the embedded one."""

import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from server.settings import Settings
from tests.conftest import ADMIN, changed, served
from tests.mqtt.certificates import Certificates
from tests.mqtt.mosquitto.file_broker import SERVER, Broker, device
from tests.mqtt.observer import Observer, let_in
from tests.mqtt.ruled import ruled_mosquitto, settings_for
from tests.support.client import Api
from tests.support.mosquitto import Mosquitto

BROKERS = pytest.StashKey[list[Mosquitto]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """What the writer of Mosquitto's files did is in the captured log, this is what it met."""
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
    """Those that a test starts leave their logs with its failure."""
    started = request.node.stash.setdefault(BROKERS, [])
    start = Mosquitto.launch

    def noted(broker: Mosquitto) -> None:
        if broker not in started:
            started.append(broker)
        start(broker)

    monkeypatch.setattr(Mosquitto, "launch", noted)
    caplog.set_level(logging.DEBUG, "rollcall.mqtt")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """Its files name the server and the devices `one` and `two`."""
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
    """A server, and its broker's ports: for devices, and for whoever has several connections."""

    api: Api
    port: int
    second_port: int
    settings: Settings

    async def observer(self) -> Observer:
        """Subscribed to everything. A broker with files learns of its user after a moment."""
        observer = await let_in(self.second_port, "admin", ADMIN)
        await observer.subscribe("#")
        return observer


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """With rights that Rollcall writes; what it keeps is lost when it ends."""
    broker = ruled_mosquitto(tmp_path)
    broker.start()
    yield broker
    broker.stop()


def with_mosquitto(settings: Settings, broker: Mosquitto) -> Settings:
    return changed(settings, **settings_for(broker))


@pytest_asyncio.fixture(params=["mosquitto", "embedded"])
async def fleet(request: pytest.FixtureRequest, settings: Settings) -> AsyncIterator[Fleet]:
    if request.param == "mosquitto":
        broker = request.getfixturevalue("mosquitto")
        own = with_mosquitto(settings, broker)
        async with served(own) as api:
            yield Fleet(api, broker.port, broker.second_port, own)
    else:
        own = changed(settings, mqtt="on", mqtt_port=0)
        async with served(own) as api:
            port = api.app.state.broker.told.port
            yield Fleet(api, port, port, own)
