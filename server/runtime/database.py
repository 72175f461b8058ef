"""Keeps the database within reach: opens it, notices when it goes away, and takes it up again."""

import asyncio
import logging
import signal
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from concurrency.backoff import Backoff
from concurrency.supervisor import Background, Supervisor
from concurrency.tasks import run_together
from concurrency.threads import in_daemon_thread
from db.embedded import EmbeddedPostgres, PostgresFailed
from db.migrate import migrate
from db.postgres.database import Database
from db.postgres.event_signal import EventSignal
from db.postgres.permanent import permanent_reason
from db.postgres.transient import is_transient
from db.reads.reads import Reads
from db.writes.writes import Writes
from domain.access.tokens import TokenKind
from domain.errors import Unavailable
from resolvers.feed.entries import feeds
from resolvers.services import BrokerAddress, Services
from server.runtime.background import BackgroundTask
from server.runtime.first_tokens import first_tokens
from server.settings import Settings

log = logging.getLogger("rollcall.database")

PROBE_SECONDS = 1.0
# The database is not probed yet while they are made.
FIRST_TOKENS_SECONDS = 10.0
# Commits within this time are announced to the other processes once.
TELL_PAUSE_SECONDS = 0.01
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 5.0
FEEDS = ("config feed", "event feed")

Announce = Callable[[dict[TokenKind, str]], None]


class DatabaseSupervisor:
    """`desk` is there while the database is: None means that requests can't be served now."""

    def __init__(self, settings: Settings, announce: Announce, supervisor: Supervisor) -> None:
        self.services: Services | None = None
        # `tried`: it is there, or was not when it was first looked for.
        self.opened, self.tried = asyncio.Event(), asyncio.Event()
        # Set before it runs.
        self.workers: Sequence[BackgroundTask] = ()
        self.broker: Callable[[], BrokerAddress | None] = lambda: None
        self._settings = settings
        self._announce = announce
        self._supervisor = supervisor
        self._embedded = None if settings.database_url else EmbeddedPostgres(settings.data_dir)
        # Made once, when the database's address is known, and kept through all outages.
        self._made: Services | None = None
        self._reason = ""
        # Called with one line that says what to do: waiting can't heal it.
        self.give_up: Callable[[str], None] = end_process

    async def run(self) -> None:
        """Until it is cancelled."""
        backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        while True:
            try:
                services = await self._open()
                backoff.reset()
                await self._watch(services)
            except Exception as error:  # noqa: BLE001  it is tried again, whatever it is
                self._lose()
                if not self.opened.is_set() and (reason := permanent_reason(error)):
                    self.give_up(reason)
                else:
                    self._log(error)
                self.tried.set()
            await backoff.pause()

    def expect(self) -> None:
        """Announces to the supervisor what will run while the database is there."""
        for name in FEEDS:
            self._supervisor.expect(name)
        for worker in self.workers:
            self._supervisor.expect(worker.name, needed=worker.needed)

    async def close(self, seconds: float) -> None:
        """Let go of the database. An embedded one is stopped if no other process uses it, and gets
        so many seconds for that.
        """
        self._lose()
        if self._made:
            await self._made.database.close()
        if self._embedded:
            await in_daemon_thread(self._embedded.stop, seconds)

    async def _open(self) -> Services:
        url = await self._address()
        services = self._made = self._made or self._make(url)
        services.database.move_to(url)
        await migrate(services.database)
        admin = self._settings.admin_token
        async with asyncio.timeout(FIRST_TOKENS_SECONDS):
            made = await first_tokens(
                services.database, admin.get_secret_value() if admin else None
            )
        self.services, self._reason = services, ""
        log.info("The database is ready.")
        self._announce(made)
        self.opened.set()
        self.tried.set()
        return services

    async def _address(self) -> str:
        """Starts an embedded database that does not run. Raises PostgresFailed."""
        if self._embedded:
            return await in_daemon_thread(self._embedded.start)
        assert self._settings.database_url is not None  # noqa: S101
        return self._settings.database_url

    def _make(self, url: str) -> Services:
        settings = self._settings
        database = Database(url, connections=settings.connections_per_process)
        return Services(
            database,
            Reads(database),
            Writes(database),
            feeds(database, settings.max_waiting_events),
            settings.enrolment,
            settings.reenrolment,
            self.broker(),
            settings.rate_limiter,
        )

    async def _watch(self, services: Services) -> None:
        """Returns by an exception, when the database no longer answers."""
        async with services.database.watched(partial(self._wake, services)) as watch:
            await run_together(
                self._until_lost(services, watch), self._supervisor.run(*self._background(services))
            )

    async def _until_lost(self, services: Services, watch: EventSignal) -> None:
        try:
            await self._announce_events(services, watch)
        finally:
            # Before the background tasks have ended: they may be waiting for the database.
            self._lose()

    def _background(self, services: Services) -> Iterator[Background]:
        feeds = (services.feeds.changes.run, services.feeds.events.run)
        for name, run in zip(FEEDS, feeds, strict=True):
            yield Background(name, run)
        for worker in self.workers:
            yield Background(worker.name, partial(worker.run, services), worker.needed)

    def _wake(self, services: Services) -> None:
        services.feeds.wake()
        for worker in self.workers:
            worker.wake()

    async def _announce_events(self, services: Services, watch: EventSignal) -> None:
        """Notifies the other processes of new events; without any, asks for a sign of life."""
        recorded = services.database.recorded
        while True:
            try:
                async with asyncio.timeout(PROBE_SECONDS):
                    await recorded.wait()
            except TimeoutError:
                await watch.probe()
            else:
                recorded.clear()
                await watch.tell()
                await asyncio.sleep(TELL_PAUSE_SECONDS)

    def _lose(self) -> None:
        """Requests get 503 from now on, and connections are closed: they are as dead as it is."""
        self.services = None
        if self._made:
            made = self._made
            for each in (made.reads, made.levels, made.writes):
                each.close()

    def _log(self, error: Exception) -> None:
        """One line when the reason changes."""
        reason = permanent_reason(error)
        if reason is None and not _is_expected(error):
            log.error("The database could not be opened, trying again.", exc_info=error)
            return
        if reason is None:
            shown = error.__cause__ if isinstance(error, Unavailable) else error
            reason = " ".join(str(shown).split()) or _unnamed(shown)
        if reason != self._reason:
            log.warning("The database is not available, trying again: %s", reason)
        self._reason = reason


def _unnamed(error: BaseException | None) -> str:
    return "it does not answer." if isinstance(error, TimeoutError) else repr(error)


def _is_expected(error: Exception) -> bool:
    return is_transient(error) or isinstance(error, (PostgresFailed, Unavailable))


def end_process(reason: str) -> None:
    """Logs the reason and ends the process in an orderly way."""
    log.critical("%s", reason)
    signal.raise_signal(signal.SIGTERM)
