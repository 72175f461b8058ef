"""The connections that stay open: how many a token may have, and when they have to end."""

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

CHECK_SECONDS = 1.0
RETRY_SECONDS = 10
CLOSE_SECONDS = 1


@dataclass(frozen=True, slots=True)
class CloseReason:
    """A WebSocket close code (RFC 6455, section 7.4; 4000 and above: graphql-transport-ws's and
    ours), what to say, and the code of the error where there are no close codes.
    """

    code: int
    reason: str
    error: str

    @classmethod
    def by_error(cls, error: str, reason: str) -> "CloseReason":
        """`error`: its code. Raises ValueError if it closes no WebSocket."""
        return cls(close_code(error), reason, error)


# No one caller's own.
SHARED = (None, TokenKind.ENROL)

RESTARTING = CloseReason.by_error("RESTARTING", "The server restarts: come back soon.")
AWAY = CloseReason.by_error(Unavailable.code, "The database is not available: try again soon.")
TOKEN_ENDED = CloseReason.by_error(Unauthenticated.code, "This token was revoked or has expired.")


class Connection:
    """One that stays open. `ended` is done when somebody wants it closed."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.ended: asyncio.Future[CloseReason] = asyncio.get_running_loop().create_future()

    def end(self, close_reason: CloseReason) -> None:
        if not self.ended.done():
            self.ended.set_result(close_reason)


class Connections:
    """Of one process. `desk` gives None while the database is away."""

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
        """Raises RateLimited over the limit for a token. `protocol`: websocket or sse."""
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
        """Raises RateLimited where `open` would."""
        with _counted(self._of_token, caller.token_id, self._per_token, "connections"):
            pass

    @contextmanager
    def subscription(self, caller: Caller) -> Iterator[None]:
        """Raises RateLimited over the limit for a token."""
        most = self._subscriptions_per_token
        with _counted(self._subscriptions, caller.token_id, most, "subscriptions"):
            self._metrics.subscription_started()
            try:
                yield
            finally:
                self._metrics.subscription_ended()

    def begin_operation(self, caller: Caller) -> None:
        """Raises RateLimited if the token has too many. Enrolment keys have no limit."""
        most = self._operations_per_token
        if most is not None and caller.kind not in SHARED:
            running = self._operations[caller.token_id]
            if running >= most:
                raise _too_many(most, "operations", retry_after=1)
            self._operations[caller.token_id] = running + 1

    def end_operation(self, caller: Caller) -> None:
        """Of one that has begun."""
        if self._operations_per_token is not None and caller.kind not in SHARED:
            self._operations[caller.token_id] -= 1
            if not self._operations[caller.token_id]:
                del self._operations[caller.token_id]

    def restart(self) -> None:
        """Ends all, and whatever is opened from now on: the server stops."""
        self._restarting = True
        for connection in list(self._open):
            connection.end(RESTARTING)

    async def closed(self) -> None:
        """When all are closed, or the slowest have had their time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._none_open.wait()

    async def watch(self) -> None:
        """Ends the connections of tokens that are not valid any more, until it is cancelled."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            services = self._services()
            tokens = {id for id in self._of_token if id is not None}
            if not services or not tokens:
                continue
            with suppress(Unavailable):
                self._end(tokens - await valid_tokens(services, tokens))

    def _end(self, tokens: Collection[int]) -> None:
        for connection in list(self._open):
            if connection.caller.token_id in tokens:
                connection.end(TOKEN_ENDED)


def _too_many(most: int, what: str, retry_after: int = RETRY_SECONDS) -> RateLimited:
    return RateLimited(f"This token has {most} {what} open, which is the most.", retry_after)


@contextmanager
def _counted(counter: Counter[int | None], key: int | None, most: int, what: str) -> Iterator[None]:
    if counter[key] >= most:
        raise _too_many(most, what)
    counter[key] += 1
    try:
        yield
    finally:
        counter[key] -= 1
        if not counter[key]:
            del counter[key]
