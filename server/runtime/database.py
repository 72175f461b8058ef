"""Supervises the database: opens it, detects its loss, and opens it again."""

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

# Seconds without new events after which the connection is probed.
PROBE_SECONDS = 1.0
# Seconds. Probing starts only after the first tokens are created.
FIRST_TOKENS_SECONDS = 10.0
# Seconds. The other processes get one notification for all commits within this time.
NOTIFY_PAUSE_SECONDS = 0.01
# Seconds between two attempts to open the database.
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 5.0
FEEDS = ("config feed", "event feed")

Announce = Callable[[dict[TokenKind, str]], None]


class DatabaseSupervisor:
    """`services` is None while the database is not available: requests can't be served then."""

    def __init__(self, settings: Settings, announce: Announce, supervisor: Supervisor) -> None:
        self.services: Services | None = None
        # `opened`: it was available once. `tried`: the first attempt to open it is over.
        self.opened, self.tried = asyncio.Event(), asyncio.Event()
        # Both are set before `run`.
        self.background_tasks: Sequence[BackgroundTask] = ()
        self.broker: Callable[[], BrokerAddress | None] = lambda: None
        self._settings = settings
        self._announce = announce
        self._supervisor = supervisor
        self._embedded = None if settings.database_url else EmbeddedPostgres(settings.data_dir)
        # Created once the database's address is known, and kept during outages.
        self._created: Services | None = None
        self._logged_reason = ""
        # Called with one line that says what to do, if a retry can't succeed.
        self.give_up: Callable[[str], None] = end_process

    async def run(self) -> None:
        """Run until cancelled."""
        backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        while True:
            try:
                services = await self._open()
                backoff.reset()
                await self._watch(services)
            except Exception as error:  # noqa: BLE001  retried, whatever it is
                self._close_services()
                if not self.opened.is_set() and (reason := permanent_reason(error)):
                    self.give_up(reason)
                else:
                    self._log(error)
                self.tried.set()
            await backoff.pause()

    def expect(self) -> None:
        """Register the tasks that run while the database is available with the supervisor."""
        for name in FEEDS:
            self._supervisor.expect(name)
        for task in self.background_tasks:
            self._supervisor.expect(task.name, needed=task.needed)

    async def close(self, seconds: float) -> None:
        """Close the database. Stop an embedded one within `seconds` if no other process uses it."""
        self._close_services()
        if self._created:
            await self._created.database.close()
        if self._embedded:
            await in_daemon_thread(self._embedded.stop, seconds)

    async def _open(self) -> Services:
        url = await self._address()
        services = self._created = self._created or self._create(url)
        services.database.change_url(url)
        await migrate(services.database)
        admin = self._settings.admin_token
        async with asyncio.timeout(FIRST_TOKENS_SECONDS):
            secrets = await first_tokens(
                services.database, admin.get_secret_value() if admin else None
            )
        self.services, self._logged_reason = services, ""
        log.info("The database is ready.")
        self._announce(secrets)
        self.opened.set()
        self.tried.set()
        return services

    async def _address(self) -> str:
        """Start an embedded database if it does not run. Raises PostgresFailed if that fails."""
        if self._embedded:
            return await in_daemon_thread(self._embedded.start)
        assert self._settings.database_url is not None  # noqa: S101
        return self._settings.database_url

    def _create(self, url: str) -> Services:
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
        """Never returns. Raises when the database no longer answers."""
        async with services.database.watch(partial(self._wake, services)) as watch:
            await run_together(
                self._until_lost(services, watch), self._supervisor.run(*self._background(services))
            )

    async def _until_lost(self, services: Services, watch: EventSignal) -> None:
        try:
            await self._announce_events(services, watch)
        finally:
            # Before the background tasks end: they may be waiting for the database.
            self._close_services()

    def _background(self, services: Services) -> Iterator[Background]:
        feeds = (services.feeds.changes.run, services.feeds.events.run)
        for name, run in zip(FEEDS, feeds, strict=True):
            yield Background(name, run)
        for task in self.background_tasks:
            yield Background(task.name, partial(task.run, services), task.needed)

    def _wake(self, services: Services) -> None:
        services.feeds.wake()
        for task in self.background_tasks:
            task.wake()

    async def _announce_events(self, services: Services, watch: EventSignal) -> None:
        """Notify the other processes of new events. Without events, probe the connection."""
        recorded = services.database.recorded
        while True:
            try:
                async with asyncio.timeout(PROBE_SECONDS):
                    await recorded.wait()
            except TimeoutError:
                await watch.probe()
            else:
                recorded.clear()
                await watch.notify()
                await asyncio.sleep(NOTIFY_PAUSE_SECONDS)

    def _close_services(self) -> None:
        """Answer requests with 503 from now on, and close the connections, which are lost, too."""
        self.services = None
        if self._created:
            created = self._created
            for each in (created.reads, created.levels, created.writes):
                each.close()

    def _log(self, error: Exception) -> None:
        """Log one line when the reason changes; for a bug, a traceback."""
        reason = permanent_reason(error)
        if reason is None and not _is_expected(error):
            log.error("The database could not be opened, trying again.", exc_info=error)
            return
        if reason is None:
            shown = error.__cause__ if isinstance(error, Unavailable) else error
            reason = " ".join(str(shown).split()) or _describe_empty(shown)
        if reason != self._logged_reason:
            log.warning("The database is not available, trying again: %s", reason)
        self._logged_reason = reason


def _describe_empty(error: BaseException | None) -> str:
    """Describe an error without a text."""
    return "it does not answer." if isinstance(error, TimeoutError) else repr(error)


def _is_expected(error: Exception) -> bool:
    return is_transient(error) or isinstance(error, (PostgresFailed, Unavailable))


def end_process(reason: str) -> None:
    """Log the reason and shut the process down."""
    log.critical("%s", reason)
    signal.raise_signal(signal.SIGTERM)
