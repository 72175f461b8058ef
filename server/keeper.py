"""Keeps the database within reach: opens it, notices when it goes away, and takes it up again."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from db.database import Database, Watch, is_passing
from db.embedded import EmbeddedPostgres, PostgresFailed
from db.migrate import migrate
from db.reader import Reader
from db.registrar import Registrar
from db.revisions import Revisions
from domain.config import DEFAULT_INTERVAL_SECONDS, DEFAULT_QOS
from domain.errors import Unavailable, first_of
from domain.tokens import TokenKind
from resolvers.desk import Broker, Desk
from resolvers.feeds import Feeds, feeds
from server.first_tokens import first_tokens
from server.settings import Settings
from server.worker import Worker, keep_running

log = logging.getLogger("rollcall.database")

PROBE_SECONDS = 1.0
# Commits within this time are told to the other processes by one word.
TELL_PAUSE_SECONDS = 0.01
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0

Announce = Callable[[dict[TokenKind, str]], None]


class DatabaseKeeper:
    """`desk` is there while the database is: None means that requests can't be served now."""

    def __init__(self, settings: Settings, announce: Announce) -> None:
        self.desk: Desk | None = None
        self.opened = asyncio.Event()
        # Set before it runs.
        self.workers: Sequence[Worker] = ()
        self.broker: Callable[[], Broker | None] = lambda: None
        self._settings = settings
        self._announce = announce
        self._admission = settings.admission
        self._embedded = None if settings.database_url else EmbeddedPostgres(settings.data_dir)
        self._database: Database | None = None
        self._reader: Reader | None = None
        self._registrar: Registrar | None = None
        self._revisions: Revisions | None = None
        self._feeds: Feeds | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._keep(), name="database keeper")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self._drop()
            if self._database:
                await self._database.close()
            if self._embedded:
                await asyncio.to_thread(self._embedded.stop)

    async def _keep(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                await self._open()
                pause = FIRST_PAUSE_SECONDS
                await self._watch()
            except Exception as error:  # noqa: BLE001  a keeper that dies helps nobody
                self._lost(error)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def _open(self) -> None:
        url = self._settings.database_url
        if self._embedded:
            url = await asyncio.to_thread(self._embedded.start)
        assert url is not None  # noqa: S101
        self._database = self._database or Database(url)
        self._reader = self._reader or Reader(self._database)
        self._registrar = self._registrar or Registrar(
            self._database, DEFAULT_INTERVAL_SECONDS, DEFAULT_QOS
        )
        self._revisions = self._revisions or Revisions(self._database)
        self._feeds = self._feeds or feeds(self._database, self._settings.max_waiting_events)
        await migrate(self._database)
        admin = self._settings.admin_token
        made = await first_tokens(self._database, admin.get_secret_value() if admin else None)
        self.desk = Desk(
            self._database,
            self._reader,
            self._registrar,
            self._revisions,
            self._feeds,
            self._settings.enrolment,
            self._settings.reenrolment,
            self.broker(),
            self._admission,
        )
        log.info("The database is ready.")
        self._announce(made)
        self.opened.set()

    async def _watch(self) -> None:
        """Returns by an exception, when the database no longer answers."""
        assert self._database is not None  # noqa: S101
        assert self._feeds is not None  # noqa: S101
        assert self.desk is not None  # noqa: S101
        async with self._database.watched(self._wake) as watch, asyncio.TaskGroup() as tasks:
            tasks.create_task(self._feeds.run(), name="feeds")
            tasks.create_task(self._tell(watch), name="database watch")
            for worker in self.workers:
                tasks.create_task(keep_running(worker, self.desk), name=type(worker).__name__)

    def _wake(self) -> None:
        assert self._feeds is not None  # noqa: S101
        self._feeds.wake()
        for worker in self.workers:
            worker.wake()

    async def _tell(self, watch: Watch) -> None:
        """Tells the other processes of new events, and asks for a sign of life without any."""
        assert self._database is not None  # noqa: S101
        recorded = self._database.recorded
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

    def _drop(self) -> None:
        """The connections that are as dead as the database's others."""
        for each in (self._reader, self._registrar, self._revisions):
            if each:
                each.close()

    def _lost(self, error: Exception) -> None:
        self.desk = None
        self._drop()
        if isinstance(error, ExceptionGroup):
            error = first_of(error)
        if is_passing(error) or isinstance(error, (PostgresFailed, Unavailable)):
            reason = error.__cause__ or error
            log.warning("The database is not available, trying again: %r", reason)
        else:
            log.error("The database could not be opened, trying again.", exc_info=error)
