"""The MQTT broker that devices use, embedded or external, and the tasks that keep it up to date."""

import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import unquote, urlsplit

from concurrency.connection_guard import ConnectionGuard
from concurrency.supervisor import Background
from domain.mqtt.accounts import PASSWORD_ITERATIONS, SALT_BYTES, Account, mosquitto_hash
from domain.mqtt.rights import SERVER_RIGHTS
from mqtt.address import Address
from mqtt.auth.registry_authenticator import SERVER_USER, RegistryAuthenticator
from mqtt.client.client import MqttClient
from mqtt.embedded import EmbeddedBroker, listen
from mqtt.mosquitto.files import MosquittoFiles
from mqtt.mosquitto.sync import MosquittoSync
from resolvers.services import BrokerAddress, Services
from server.runtime.background import BackgroundTask
from server.runtime.shared_flag import SharedFlag
from server.settings import Settings
from server.settings_checks import MQTT_PORTS


@dataclass(frozen=True, slots=True)
class Embedded:
    """The socket of the embedded broker.

    `in_other_process`: the broker and its MQTT client run in another process.
    `connected`: whether that client is connected, shared by all processes.
    """

    listening: socket.socket
    in_other_process: bool = False
    connected: SharedFlag | None = None


class MqttRuntime:
    """Runs the embedded broker. `background_tasks` synchronize the broker with the database.

    `enabled`: MQTT is on, and this process has the MQTT client.
    """

    def __init__(
        self,
        settings: Settings,
        services: Callable[[], Services | None],
        embedded: Embedded | None,
        guard: ConnectionGuard,
    ) -> None:
        self._settings = settings
        self._guard = guard
        self._listening = embedded.listening if embedded else None
        self._in_other_process = embedded is not None and embedded.in_other_process
        self.enabled = settings.mqtt_enabled and not self._in_other_process
        self._access = RegistryAuthenticator(services)
        self._embedded: EmbeddedBroker | None = None
        self._running = AsyncExitStack()
        self._flag = embedded.connected if embedded else None
        self.client = MqttClient(self._address, volatile=settings.embedded_mqtt)
        if self._flag and self.enabled:
            self.client.on_change = self._flag.set
        self.background_tasks: list[BackgroundTask] = []
        if self.enabled:
            self.background_tasks.append(self.client)
        if settings.mosquitto_dir:
            address = self._address() if settings.mqtt_url else None
            files = MosquittoFiles(settings.mosquitto_dir, settings.mosquitto_pid_file, address)
            self.background_tasks.append(MosquittoSync(files, _server_account(settings)))

    @property
    def advertised_address(self) -> BrokerAddress | None:
        """The broker address for devices. Host None: the host by which they reach the server."""
        if self._embedded:
            return BrokerAddress(None, self._embedded.port, tls=False)
        if self._in_other_process and self._listening:
            return BrokerAddress(None, self._listening.getsockname()[1], tls=False)
        return self._settings.broker

    @property
    def connected(self) -> Callable[[], bool] | None:
        """A function that returns whether the MQTT client is connected. None if MQTT is off."""
        if not self._settings.mqtt_enabled:
            return None
        return self._flag.is_set if self._flag else lambda: self.client.connected

    async def start(self) -> None:
        """Start the embedded broker, if it runs in this process. Raises PortTaken."""
        if self._in_other_process or not self._settings.embedded_mqtt:
            return
        listening = self._listening or listen(self._settings.host, self._settings.mqtt_port)
        self._embedded = EmbeddedBroker(listening, self._access, guard=self._guard)
        await self._running.enter_async_context(self._embedded.running())

    @property
    def independent_tasks(self) -> list[Background]:
        """Tasks that run with or without the database."""
        embedded = self._settings.embedded_mqtt and not self._in_other_process
        return [Background("MQTT broker", self._watch)] if embedded else []

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
            *server_credentials(settings),
            settings.mqtt_ca,
            settings.mqtt_certificate,
            settings.mqtt_key,
        )


def server_credentials(settings: Settings) -> tuple[str | None, str | None]:
    """Return the user name and password of this server at an external broker."""
    parts = urlsplit(settings.mqtt_url or "")
    return (
        unquote(parts.username) if parts.username else None,
        unquote(parts.password) if parts.password else None,
    )


def _server_account(settings: Settings) -> Account | None:
    username, password = server_credentials(settings)
    if username is None or password is None:
        return None
    # The same salt at each start and on each server: the broker's files do not change.
    salt = sha256(f"{username}:{password}".encode()).digest()[:SALT_BYTES]
    hash = mosquitto_hash(password, salt, PASSWORD_ITERATIONS)
    return Account(username, hash, SERVER_RIGHTS)
