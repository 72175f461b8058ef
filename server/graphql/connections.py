"""Open connections of subscribers: limits for each token, and when they are closed."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from domain.access.caller import Caller
from domain.access.tokens import TokenKind
from domain.errors import RateLimited, Unauthenticated, Unavailable
from resolvers.access.authenticate import valid_tokens
from resolvers.services import Services
from server.http.errors import close_code
from server.observability.metrics import Metrics
from server.settings import Settings

log = logging.getLogger("rollcall.connections")

# Seconds between two checks of the tokens.
CHECK_SECONDS = 1.0
# Seconds. `Retry-After` of a client over its limits.
RETRY_SECONDS = 10
# Seconds that a stopping server waits for connections to close.
CLOSE_SECONDS = 1


@dataclass(frozen=True, slots=True)
class CloseReason:
    """A WebSocket close code, a text, and the error code for server-sent events.

    Close codes: RFC 6455, section 7.4; from 4000 on graphql-transport-ws and Rollcall.
    """

    code: int
    reason: str
    error: str

    @classmethod
    def by_error(cls, error: str, reason: str) -> "CloseReason":
        """`error`: an error code. Raises ValueError if it does not close a WebSocket."""
        return cls(close_code(error), reason, error)


# Tokens that many callers share.
SHARED = (None, TokenKind.ENROL)

RESTARTING = CloseReason.by_error("RESTARTING", "The server restarts: reconnect soon.")
UNAVAILABLE = CloseReason.by_error(
    Unavailable.code, "The database is not available: try again soon."
)
TOKEN_ENDED = CloseReason.by_error(Unauthenticated.code, "This token was revoked or has expired.")


class Connection:
    """An open connection. `ended` is done when the server wants to close it."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.ended: asyncio.Future[CloseReason] = asyncio.get_running_loop().create_future()

    def end(self, close_reason: CloseReason) -> None:
        if not self.ended.done():
            self.ended.set_result(close_reason)


class Connections:
    """The open connections of one process. `services` returns None without the database."""

    def __init__(
        self, services: Callable[[], Services | None], metrics: Metrics, settings: Settings
    ) -> None:
        self._services = services
        self._metrics = metrics
        self._per_token = settings.max_connections_per_token
        self._subscriptions_per_token = settings.max_subscriptions_per_token
        self._operations_per_token = settings.operations_per_token
        self._open: set[Connection] = set()
        self._of_token: Counter[int | None] = Counter()
        self._subscriptions: Counter[int | None] = Counter()
        self._operations: Counter[int | None] = Counter()
        self._restarting = False
        self._none_open = asyncio.Event()
        self._none_open.set()

    @property
    def count(self) -> int:
        return len(self._open)

    @property
    def subscriptions(self) -> int:
        return self._subscriptions.total()

    @contextmanager
    def open(self, caller: Caller, protocol: str) -> Iterator[Connection]:
        """Count a connection while it is open. `protocol`: websocket or sse.

        Raises RateLimited if the token has too many.
        """
        with _counted(self._of_token, caller.token_id, self._per_token, "connections"):
            connection = Connection(caller)
            self._open.add(connection)
            self._none_open.clear()
            self._metrics.connection_opened(protocol)
            if self._restarting:
                connection.end(RESTARTING)
            try:
                yield connection
            finally:
                self._open.discard(connection)
                self._metrics.connection_closed(protocol)
                if not self._open:
                    self._none_open.set()

    def check(self, caller: Caller) -> None:
        """Raises RateLimited if `open` would."""
        with _counted(self._of_token, caller.token_id, self._per_token, "connections"):
            pass

    @contextmanager
    def subscription(self, caller: Caller) -> Iterator[None]:
        """Count a subscription while it runs. Raises RateLimited if the token has too many."""
        limit = self._subscriptions_per_token
        with _counted(self._subscriptions, caller.token_id, limit, "subscriptions"):
            self._metrics.subscription_started()
            try:
                yield
            finally:
                self._metrics.subscription_ended()

    def begin_operation(self, caller: Caller) -> None:
        """Count an operation. Raises RateLimited if the token has too many running.

        Enrolment keys have no limit.
        """
        limit = self._operations_per_token
        if limit is not None and caller.kind not in SHARED:
            running = self._operations[caller.token_id]
            if running >= limit:
                raise _too_many(limit, "operations", retry_after=1)
            self._operations[caller.token_id] = running + 1

    def end_operation(self, caller: Caller) -> None:
        """Call it once after each `begin_operation` that returned."""
        if self._operations_per_token is not None and caller.kind not in SHARED:
            self._operations[caller.token_id] -= 1
            if not self._operations[caller.token_id]:
                del self._operations[caller.token_id]

    def restart(self) -> None:
        """End all connections, and new ones as soon as they open: the server stops."""
        self._restarting = True
        for connection in list(self._open):
            connection.end(RESTARTING)

    async def closed(self) -> None:
        """Wait until all are closed, but at most CLOSE_SECONDS."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._none_open.wait()

    async def watch(self) -> None:
        """End the connections of tokens that become invalid. Run until cancelled."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            services = self._services()
            tokens = {id for id in self._of_token if id is not None}
            if not services or not tokens:
                continue
            with suppress(Unavailable):
                self._end_connections(tokens - await valid_tokens(services, tokens))

    def _end_connections(self, tokens: Collection[int]) -> None:
        for connection in list(self._open):
            if connection.caller.token_id in tokens:
                connection.end(TOKEN_ENDED)


def _too_many(limit: int, what: str, retry_after: int = RETRY_SECONDS) -> RateLimited:
    return RateLimited(f"This token has {limit} {what} open, which is the limit.", retry_after)


@contextmanager
def _counted(
    counter: Counter[int | None], key: int | None, limit: int, what: str
) -> Iterator[None]:
    if counter[key] >= limit:
        raise _too_many(limit, what)
    counter[key] += 1
    try:
        yield
    finally:
        counter[key] -= 1
        if not counter[key]:
            del counter[key]
