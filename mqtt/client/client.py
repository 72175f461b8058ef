"""The server as a client of the broker, for as long as the database is there."""

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
# A connection that holds so long counts as one.
STEADY_SECONDS = 5.0
# Far below the time after which PostgreSQL ends an idle session, and its locks.
KEEP_SECONDS = 10.0


class MqttClient:
    """`connected` says whether there is a connection to the broker now; `noted` is called when that
    changes. `volatile`: the broker keeps nothing when it stops, as the embedded one.
    """

    name = "MQTT client"
    needed = True

    def __init__(self, address: Callable[[], Address], *, volatile: bool) -> None:
        self.noted: Callable[[bool], None] = lambda _: None
        self._address = address
        self._volatile = volatile
        self._delivery: ConfigPublisher | None = None

    @property
    def connected(self) -> bool:
        return self._delivery is not None

    def wake(self) -> None:
        """Something was written to the database."""
        if self._delivery:
            self._delivery.wake()

    async def run(self, services: Services) -> None:
        """Until it is cancelled; connects again by itself. Raises Unavailable."""
        backoff, logged = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS), ""
        while True:
            began = time.monotonic()
            try:
                async with services.database.locks() as locks:
                    await self._session(services, locks)
            except (ConnectionLost, LocksLost) as lost:
                reason = str(lost) or type(lost).__name__
                if reason != logged:
                    log.warning("No connection to the MQTT broker, trying again: %s.", reason)
                logged = reason
            if time.monotonic() > began + STEADY_SECONDS:
                backoff.reset()
                logged = ""
            await backoff.pause()

    async def _session(self, services: Services, locks: Locks) -> None:
        """Raises ConnectionLost, LocksLost and Unavailable."""
        loops: list[ConfigPublisher | ReportReceiver] = []

        def receive(topic: str, payload: bytes, kept: bool) -> None:
            for loop in loops:
                loop.received(topic, payload, kept=kept)

        async with connected(self._address(), receive) as connection:
            delivery = ConfigPublisher(
                services.database, locks, connection, volatile=self._volatile
            )
            reports = ReportReceiver(services, locks, connection)
            loops += (delivery, reports)
            self._note(delivery)
            log.info("Connected to the MQTT broker.")
            try:
                await run_together(
                    delivery.run(), reports.run(), _until_lost(connection), _keep(locks)
                )
            finally:
                self._note(None)

    def _note(self, delivery: ConfigPublisher | None) -> None:
        self._delivery = delivery
        self.noted(self.connected)


async def _keep(locks: Locks) -> None:
    """Whoever has lost its locks must not publish any more. Raises LocksLost."""
    while True:
        await asyncio.sleep(KEEP_SECONDS)
        await locks.keep()


async def _until_lost(connection: Connection) -> None:
    await asyncio.shield(connection.lost)
