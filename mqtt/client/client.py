"""Connects this server to the broker while the database is available."""

import asyncio
import logging
import time
from collections.abc import Callable

from concurrency.backoff import Backoff
from concurrency.tasks import run_together
from db.postgres.advisory_locks import Locks, LocksLost
from mqtt.address import Address
from mqtt.client.connection import Connection, ConnectionLost, connected
from mqtt.client.publisher import ConfigPublisher
from mqtt.client.report_receiver import ReportReceiver
from resolvers.services import Services

log = logging.getLogger("rollcall.mqtt")

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 15.0
# Seconds after which a connection counts as stable and the backoff starts again.
STEADY_SECONDS = 5.0
# Seconds. Far below the time after which PostgreSQL ends an idle session, and its locks.
LOCK_CHECK_SECONDS = 10.0


class MqttClient:
    """`connected`: whether there is a connection now. `on_change` is called when that changes.

    `volatile`: the broker loses its retained messages when it stops, as the embedded one does.
    """

    name = "MQTT client"
    needed = True

    def __init__(self, address: Callable[[], Address], *, volatile: bool) -> None:
        self.on_change: Callable[[bool], None] = lambda _: None
        self._address = address
        self._volatile = volatile
        self._publisher: ConfigPublisher | None = None

    @property
    def connected(self) -> bool:
        return self._publisher is not None

    def wake(self) -> None:
        """Call after a write to the database."""
        if self._publisher:
            self._publisher.wake()

    async def run(self, services: Services) -> None:
        """Run until cancelled; reconnects. Raises Unavailable if the database is unavailable."""
        backoff, logged = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS), ""
        while True:
            started = time.monotonic()
            try:
                async with services.database.locks() as locks:
                    await self._session(services, locks)
            except (ConnectionLost, LocksLost) as lost:
                reason = str(lost) or type(lost).__name__
                if reason != logged:
                    log.warning("No connection to the MQTT broker; retrying: %s.", reason)
                logged = reason
            if time.monotonic() > started + STEADY_SECONDS:
                backoff.reset()
                logged = ""
            await backoff.pause()

    async def _session(self, services: Services, locks: Locks) -> None:
        """Raises ConnectionLost, LocksLost and Unavailable."""
        loops: list[ConfigPublisher | ReportReceiver] = []

        def receive(topic: str, payload: bytes, retained: bool) -> None:
            for loop in loops:
                loop.received(topic, payload, retained=retained)

        async with connected(self._address(), receive) as connection:
            publisher = ConfigPublisher(
                services.database, locks, connection, volatile=self._volatile
            )
            receiver = ReportReceiver(services, locks, connection)
            loops += (publisher, receiver)
            self._set_publisher(publisher)
            log.info("Connected to the MQTT broker.")
            try:
                await run_together(
                    publisher.run(), receiver.run(), _until_lost(connection), _check_locks(locks)
                )
            finally:
                self._set_publisher(None)

    def _set_publisher(self, publisher: ConfigPublisher | None) -> None:
        self._publisher = publisher
        self.on_change(self.connected)


async def _check_locks(locks: Locks) -> None:
    """Raises LocksLost if the locks are lost: this server must stop publishing then."""
    while True:
        await asyncio.sleep(LOCK_CHECK_SECONDS)
        await locks.keep_alive()


async def _until_lost(connection: Connection) -> None:
    await asyncio.shield(connection.lost)
