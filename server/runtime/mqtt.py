"""The broker that devices use, ours or somebody else's, and all that this server does with it."""

import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import unquote, urlsplit

from concurrency.supervisor import Background
from domain.mqtt.accounts import ITERATIONS_OF_WORDS, SALT_BYTES, Account, mosquitto_hash
from domain.mqtt.rights import SERVER_RIGHTS
from mqtt.address import Address
from mqtt.auth.registry import SERVER_USER, RegistryAuthenticator
from mqtt.client.client import MqttClient
from mqtt.embedded import EmbeddedBroker, listen
from mqtt.mosquitto.accounts import MosquittoSync
from mqtt.mosquitto.files import MosquittoFiles
from resolvers.services import BrokerAddress, Services
from server.runtime.background import BackgroundTask
from server.runtime.shared_flag import SharedFlag
from server.settings import Settings
from server.settings_checks import MQTT_PORTS


@dataclass(frozen=True, slots=True)
class Embedded:
    """The socket of the embedded broker. `elsewhere`: that is in another process, which brings it
    in line with the database, too. `connected`: whether it does, as all the processes know it.
    """

    listening: socket.socket
    elsewhere: bool = False
    connected: SharedFlag | None = None


class MqttRuntime:
    """`workers` bring the broker in line with the database, where that is `wanted` of us."""

    def __init__(
        self, settings: Settings, services: Callable[[], Services | None], embedded: Embedded | None
    ) -> None:
        self._settings = settings
        self._listening = embedded.listening if embedded else None
        self._elsewhere = embedded is not None and embedded.elsewhere
        self.wanted = settings.mqtt_wanted and not self._elsewhere
        self._access = RegistryAuthenticator(services)
        self._embedded: EmbeddedBroker | None = None
        self._running = AsyncExitStack()
        self._flag = embedded.connected if embedded else None
        self.client = MqttClient(self._address, volatile=settings.embedded_mqtt)
        if self._flag and self.wanted:
            self.client.noted = self._flag.set
        self.workers: list[BackgroundTask] = []
        if self.wanted:
            self.workers.append(self.client)
        if settings.mosquitto_dir:
            address = self._address() if settings.mqtt_url else None
            files = MosquittoFiles(settings.mosquitto_dir, settings.mosquitto_pid_file, address)
            self.workers.append(MosquittoSync(files, _own_account(settings)))

    @property
    def told(self) -> BrokerAddress | None:
        """What devices are told; host None: where they reached this server."""
        if self._embedded:
            return BrokerAddress(None, self._embedded.port, tls=False)
        if self._elsewhere and self._listening:
            return BrokerAddress(None, self._listening.getsockname()[1], tls=False)
        return self._settings.broker

    @property
    def connected(self) -> Callable[[], bool] | None:
        """Tells whether there is a connection to the broker now; None if none is wanted."""
        if not self._settings.mqtt_wanted:
            return None
        return self._flag.is_set if self._flag else lambda: self.client.connected

    async def start(self) -> None:
        """The embedded broker, if it is to run here. Raises PortTaken."""
        if self._elsewhere or not self._settings.embedded_mqtt:
            return
        listening = self._listening or listen(self._settings.host, self._settings.mqtt_port)
        self._embedded = EmbeddedBroker(listening, self._access)
        await self._running.enter_async_context(self._embedded.running())

    @property
    def background(self) -> list[Background]:
        """What goes on beside the requests, with or without the database."""
        wanted = self._settings.embedded_mqtt and not self._elsewhere
        return [Background("MQTT broker", self._watch)] if wanted else []

    async def _watch(self) -> None:
        assert self._embedded  # noqa: S101
        await self._embedded.watch()

    async def stop(self) -> None:
        await self._running.aclose()

    def _address(self) -> Address:
        settings = self._settings
        if self._embedded:
            host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104
            secret = self._access.server_password
            return Address(host, self._embedded.port, username=SERVER_USER, password=secret)
        parts = urlsplit(settings.mqtt_url or "")
        return Address(
            parts.hostname or "",
            parts.port or MQTT_PORTS[parts.scheme],
            parts.scheme == "mqtts",
            *own_credentials(settings),
            settings.mqtt_ca,
            settings.mqtt_certificate,
            settings.mqtt_key,
        )


def own_credentials(settings: Settings) -> tuple[str | None, str | None]:
    """User name and password by which this server connects to a broker of somebody's."""
    parts = urlsplit(settings.mqtt_url or "")
    return (
        unquote(parts.username) if parts.username else None,
        unquote(parts.password) if parts.password else None,
    )


def _own_account(settings: Settings) -> Account | None:
    username, password = own_credentials(settings)
    if username is None or password is None:
        return None
    # The same at each start and on each server, so that the broker's files stay as they are.
    salt = sha256(f"{username}:{password}".encode()).digest()[:SALT_BYTES]
    hash = mosquitto_hash(password, salt, ITERATIONS_OF_WORDS)
    return Account(username, hash, SERVER_RIGHTS)
