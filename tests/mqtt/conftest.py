"""The application with a real broker: Mosquitto, and the embedded one."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from domain.accounts import Account, mosquitto_hash
from domain.rights import SERVER_RIGHTS
from mqtt.mosquitto import MosquittoFiles
from server.settings import Settings
from tests.client import Api
from tests.conftest import ADMIN, changed, served
from tests.mosquitto import Mosquitto
from tests.mqtt.observer import Observer

SERVER_PASSWORD = "the-servers-own"


@dataclass
class Fleet:
    """A server, and its broker's ports: for devices, and for whoever has several connections."""

    api: Api
    port: int
    second_port: int
    settings: Settings

    async def observer(self) -> Observer:
        """Subscribed to everything."""
        observer: Observer | None = None
        while observer is None or observer.refused:
            # A broker with files learns of a new administrator after a moment.
            if observer:
                await observer.close()
            observer = await Observer(self.second_port, "admin", ADMIN).open()
        await observer.subscribe("#")
        return observer


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """With rights that Rollcall writes; what it keeps is lost when it ends."""
    rights = tmp_path / "rights"
    rights.mkdir()
    own = Account("rollcall", mosquitto_hash(SERVER_PASSWORD), SERVER_RIGHTS)
    MosquittoFiles(rights).write([own])
    broker = Mosquitto(
        tmp_path,
        "allow_anonymous false",
        f"password_file {rights / 'passwords'}",
        f"acl_file {rights / 'acl'}",
        "max_queued_messages 0",
        # Devices' listener; the second is for this server and for people's tools.
        "use_username_as_clientid true",
    )
    broker.lines = (*broker.lines, f"listener {broker.second_port} 127.0.0.1")
    broker.start()
    yield broker
    broker.stop()


def with_mosquitto(settings: Settings, broker: Mosquitto) -> Settings:
    return changed(
        settings,
        mqtt="on",
        mqtt_url=f"mqtt://rollcall:{SERVER_PASSWORD}@127.0.0.1:{broker.second_port}",
        mosquitto_dir=broker.folder / "rights",
        mosquitto_pid_file=broker.pid_file,
    )


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
