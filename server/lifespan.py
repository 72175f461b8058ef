"""The components of a server and its background tasks, from start to stop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from concurrency.connection_guard import ConnectionGuard
from concurrency.supervisor import Background, Supervisor
from concurrency.tasks import end_all
from db.postgres.transient import is_transient
from domain.errors import Unavailable
from server.graphql.connections import Connections
from server.observability.metrics import Metrics
from server.observability.tracing import tracing_from_environment
from server.runtime.alerts import NotifierRuntime
from server.runtime.database import Announce, DatabaseSupervisor
from server.runtime.files import allow_connections
from server.runtime.floods import watch_floods
from server.runtime.mqtt import Embedded, MqttRuntime
from server.runtime.periodic import periodic_tasks
from server.runtime.stopping import Stop
from server.settings import Settings

# Seconds. The start waits at most this long for the database, so that first requests find it.
OPEN_SECONDS = 1.0
# Seconds. Longer than notifier/sender.py takes to record an alert that is being sent.
BACKGROUND_SECONDS = 2.5
# Seconds. The limit for sending the last traces (server/observability/otlp.py).
TRACES_SECONDS = 2.0


class Components:
    """The long-lived objects of one application."""

    def __init__(self, settings: Settings, embedded: Embedded | None, announce: Announce) -> None:
        self.supervisor = Supervisor(_is_transient)
        self.guard = ConnectionGuard(
            allow_connections(settings.max_connections), settings.max_connections_per_address
        )
        self.stop = Stop(settings.drain_seconds)
        self.database_supervisor = database_supervisor = DatabaseSupervisor(
            settings, announce, self.supervisor
        )
        self.broker = MqttRuntime(
            settings, lambda: database_supervisor.services, embedded, self.guard
        )
        self.alerts = NotifierRuntime(settings)
        database_supervisor.broker = lambda: self.broker.advertised_address
        database_supervisor.background_tasks = [
            *self.broker.background_tasks,
            *periodic_tasks(settings),
            *self.alerts.background_tasks,
        ]
        self.tracing = tracing_from_environment()
        self.metrics = Metrics(
            lambda: database_supervisor.services, self.broker.connected, self.supervisor
        )
        self.connections = Connections(lambda: database_supervisor.services, self.metrics, settings)
        self._background = [
            Background("database", database_supervisor.run),
            Background("token check", self.connections.watch),
            Background("connections", lambda: watch_floods(self.guard)),
            *self.broker.independent_tasks,
        ]
        for task in self._background:
            self.supervisor.expect(task.name)
        database_supervisor.expect()

    @asynccontextmanager
    async def lifespan(self, _: object) -> AsyncIterator[None]:
        """Serve requests from the first second on, with 503 until the database is available.

        Raises PortTaken if the port of the embedded broker is in use.
        """
        async with self.tracing.running():
            await self.broker.start()
            running = asyncio.create_task(self.supervisor.run(*self._background))
            try:
                with suppress(TimeoutError):
                    async with asyncio.timeout(OPEN_SECONDS):
                        await self.database_supervisor.tried.wait()
                yield
            finally:
                await self._close(running)

    async def _close(self, running: "asyncio.Task[None]") -> None:
        stop = self.stop
        stop.begin_closing()
        self.connections.restart()
        seconds = min(BACKGROUND_SECONDS, stop.seconds_left)
        await stop.within(seconds, "background tasks", end_all([running]))
        seconds = stop.seconds_left - (TRACES_SECONDS if self.tracing.on else 0)
        await asyncio.gather(
            # A PostgreSQL that needs longer is left to stop by itself.
            stop.within(
                seconds, "the database", self.database_supervisor.close(max(0.1, seconds - 0.5))
            ),
            stop.within(seconds, "the embedded broker", self.broker.stop()),
            stop.within(seconds, "connections for alerts", self.alerts.close()),
        )


def _is_transient(error: BaseException) -> bool:
    return isinstance(error, Unavailable) or is_transient(error)
