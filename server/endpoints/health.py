"""`/readyz`: whether load balancers should send requests to this server."""

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from concurrency.supervisor import Supervisor
from server.runtime.database import DatabaseSupervisor
from server.runtime.stopping import Stop


class Readiness:
    """200 while requests are served and all needed background tasks run.

    Otherwise 503 with the reason in one line.
    """

    def __init__(
        self, database_supervisor: DatabaseSupervisor, supervisor: Supervisor, stop: Stop
    ) -> None:
        self._database_supervisor = database_supervisor
        self._supervisor = supervisor
        self._stop = stop

    async def __call__(self, _: Request) -> Response:
        reason = self._reason()
        return PlainTextResponse(f"{reason or 'ready'}\n", 503 if reason else 200)

    def _reason(self) -> str | None:
        if self._stop.begun:
            return "The server is stopping."
        if self._database_supervisor.services is None:
            return "The database is not available."
        if missing := self._supervisor.not_running:
            return f"Not running: {', '.join(missing)}."
        return None
