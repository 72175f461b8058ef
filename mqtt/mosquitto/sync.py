"""Writes Mosquitto's password and ACL files whenever accounts change in the database."""

import asyncio
import fcntl
import logging
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from db.events import log as event_log
from db.events.log import Position
from domain.errors import Unavailable
from domain.events.kinds import EventKind
from domain.mqtt.accounts import Account
from mqtt.mosquitto.files import MosquittoFiles
from resolvers.access.mqtt import broker_accounts_of
from resolvers.services import Services

log = logging.getLogger("rollcall.mqtt")

POLL_SECONDS = 1.0
# Changes within this time are written together.
GATHER_SECONDS = 0.5
# Writing and reloading may take at most this share of the time, so large fleets pause longer.
SHARE_OF_TIME = 0.1
RETRY_SECONDS, LONGEST_RETRY_SECONDS = 1.0, 10.0
LOCK = "lock"

# Events that can change accounts or rights.
RELEVANT = frozenset(EventKind) - {
    EventKind.CONFIG_APPLIED,
    EventKind.CONFIG_CHANGED,
    EventKind.CONFIG_OVERDUE,
    EventKind.DEVICE_OFFLINE,
    EventKind.DEVICE_ONLINE,
    EventKind.ENROLMENT_REQUESTED,
    EventKind.RECIPIENT_ADDED,
    EventKind.RECIPIENT_INVITED,
    EventKind.RECIPIENT_REMOVED,
}
OF_RELEVANT_KIND = event_log.of_kinds(RELEVANT)
# Seconds between full writes: tokens expire without an event.
EVERY_SECONDS = 60.0


class MosquittoSync:
    """`server`: the account of this server itself."""

    name = "Mosquitto accounts"
    needed = True

    def __init__(self, files: MosquittoFiles, server: Account | None) -> None:
        self._files = files
        self._server = server
        self._woken = asyncio.Event()
        self._position: Position | None = None
        # Number of relevant events after the position that the files already contain.
        self._written_events = 0
        self._next_write_at = 0.0

    def wake(self) -> None:
        """Call after a write to the database."""
        self._woken.set()

    async def run(self, services: Services) -> None:
        """Run until cancelled. Raises Unavailable if the database is unavailable."""
        async with _only_writer(self._files.folder):
            self._files.resume()
            try:
                await self._write_forever(services)
            finally:
                self._files.cancel()

    async def _write_forever(self, services: Services) -> None:
        self._position, retry = None, RETRY_SECONDS
        while True:
            self._woken.clear()
            try:
                pause = await self._write_if_changed(services)
                retry = RETRY_SECONDS
            except Unavailable:
                raise
            except Exception as error:  # noqa: BLE001  any error is retried
                log.warning("Mosquitto's files could not be written; retrying: %r", error)
                pause, self._position = retry, None
                retry = min(retry * 2, LONGEST_RETRY_SECONDS)
            if pause:
                await asyncio.sleep(pause)
            else:
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_SECONDS):
                        await self._woken.wait()

    async def _write_if_changed(self, services: Services) -> float:
        """Write the files if needed. Return the seconds to pause before the next write."""
        if not await self._needs_write(services):
            return 0
        await asyncio.sleep(GATHER_SECONDS)
        async with services.database.transaction(background=True) as session:
            position = await event_log.last_readable(session)
            [count] = await event_log.counts_after(session, [position], OF_RELEVANT_KIND)
        started, cpu = time.monotonic(), time.thread_time()
        accounts = [account async for account in broker_accounts_of(services, self._server)]
        cpu = time.thread_time() - cpu
        cpu += await asyncio.to_thread(self._write, accounts)
        self._position, self._written_events = position, count
        self._next_write_at = started + EVERY_SECONDS
        return cpu / SHARE_OF_TIME * (1 - SHARE_OF_TIME)

    def _write(self, accounts: list[Account]) -> float:
        """Return the CPU seconds used here and in Mosquitto.

        Elapsed time would also count disk stalls, and new devices would wait nine times as long.
        """
        started = time.thread_time()
        changed = self._files.write(accounts)
        cpu = time.thread_time() - started
        return cpu + self._files.reload_seconds if changed else cpu

    async def _needs_write(self, services: Services) -> bool:
        """Whether accounts may have changed, also while a long transaction delays the position."""
        if self._position is None or time.monotonic() > self._next_write_at:
            return True
        async with services.database.transaction(background=True) as session:
            settled = await event_log.last_readable(session)
            positions = self._position, settled
            count, after_settled = await event_log.counts_after(
                session, positions, OF_RELEVANT_KIND
            )
        if count != self._written_events:
            return True
        self._position, self._written_events = settled, after_settled
        return False


@asynccontextmanager
async def _only_writer(folder: Path) -> AsyncIterator[None]:
    """Hold the lock of this folder; wait for it if needed.

    Only one server or worker process on this machine writes. A second writer could overwrite newer
    accounts with older ones.
    """
    number = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while not _try_lock(number):  # noqa: ASYNC110  flock has no event
            await asyncio.sleep(POLL_SECONDS)
        yield
    finally:
        os.close(number)


def _try_lock(number: int) -> bool:
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
