"""uvicorn's protocols, with bounds that it leaves to a proxy in front."""

import asyncio
from typing import Any

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from schema.engine.deadlines import IdleTimer
from server.graphql.endpoint import BODY_SECONDS
from server.transport.fast_path import MOST_BYTES, URL, Closing, FastPath, FastRequestCycle

MAX_HEAD_BYTES = 65_536
HEAD_SECONDS = 20
CLOSE = b"connection: close\r\n"

TOO_LARGE = b"HTTP/1.1 431 Headers Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class HTTPProtocol(HttpToolsProtocol):
    """A request's head has to be complete in time, and of a bounded size.

    A request that the application's `fast_path` takes goes there as soon as its body is complete;
    all else is uvicorn's, and ASGI's.
    """

    _in_head = True
    _head_bytes = 0
    _timer: asyncio.TimerHandle | None = None
    _way: FastPath | None = None
    _idle: IdleTimer[Closing] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if way := getattr(self.config.app, "fast_path", None):
            self._way, self._idle = way, way.idle
        self._wait_for_more()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        if self._idle:
            self._idle.stop(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._idle:
            self._idle.stop(self)
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
                self.transport.write(TOO_LARGE)
                self.transport.close()
        self._wait_for_more()

    def on_message_begin(self) -> None:
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self._in_head, self._head_bytes = True, 0

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_waiting()
        exchange = self._exchange()
        if exchange is None:
            self._make_scope()
            return
        is_new = self.parser.get_http_version() != "1.0"
        exchange.keep_alive = is_new and self.parser.should_keep_alive()
        self.cycle = exchange  # type: ignore[assignment]

    def on_body(self, body: bytes) -> None:
        exchange: Any = self.cycle
        if exchange.__class__ is not FastRequestCycle:
            super().on_body(body)
            return
        if exchange.reading:
            exchange.body += body
        if len(exchange.body) > MOST_BYTES:
            self._go_the_long_way(exchange)

    def on_message_complete(self) -> None:
        exchange: Any = self.cycle
        if exchange.__class__ is FastRequestCycle:
            self._stop_waiting()
            if not exchange.reading or exchange.begin():
                return
            self._go_the_long_way(exchange)
        super().on_message_complete()

    def _exchange(self) -> FastRequestCycle | None:
        """None where the request has to go the long way, or after another that is not answered."""
        if (
            self._way is None
            or self.url != URL
            or (self.cycle is not None and not self.cycle.response_complete)
            or self.parser.get_method() != b"POST"
        ):
            return None
        return self._way.exchange(self, self.headers)

    def _go_the_long_way(self, exchange: FastRequestCycle) -> None:
        self._stop_waiting()
        self.cycle = None  # type: ignore[assignment]
        self._make_scope()
        super().on_body(exchange.body)

    def _make_scope(self) -> None:
        """What the long way needs of the head, and begins with."""
        url, headers = self.url, self.headers
        super().on_message_begin()
        self.url = url
        for name, value in headers:
            super().on_header(name, value)
        super().on_headers_complete()

    def address(self, forwarded: bytes | None) -> str | None:
        return address(self.app, self.client, forwarded.decode("latin-1") if forwarded else None)

    @property
    def paused(self) -> bool:
        """The client does not take what it is sent."""
        return bool(self.flow.write_paused)

    async def drained(self) -> None:
        """The client takes what it is sent, or is gone."""
        if self.flow.write_paused:
            await self.flow.drain()

    def tell(self, exchange: FastRequestCycle, answer: list[bytes]) -> None:
        """`answer`: its status line, its own headers, an empty line and its body, in pieces."""
        if not exchange.keep_alive:
            answer.insert(2, CLOSE)
        assert self._way is not None  # noqa: S101
        answer.insert(1, self._way.default_lines(self.server_state.default_headers))
        self.transport.write(b"".join(answer))
        if not exchange.keep_alive:
            self.transport.close()
        if self._idle is None or self.pipeline or self.flow.read_paused:
            self.on_response_complete()
        else:
            self.server_state.total_requests += 1
            self._idle.start(self, self.loop)

    def _wait_for_more(self) -> None:
        """Of a head, or of the body of an exchange; in vain, it ends with the connection."""
        if self._timer:
            return
        cycle: Any = self.cycle
        if self._in_head:
            self._timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)
        elif cycle.__class__ is FastRequestCycle and cycle.reading:
            self._timer = self.loop.call_later(BODY_SECONDS, cycle.too_slow)

    def _stop_waiting(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None


def address(app: Any, client: tuple[str, int] | None, forwarded: str | None) -> str | None:
    """The client's, as uvicorn's middleware for proxies finds it."""
    host = client[0] if client else None
    proxies = app.trusted_hosts if isinstance(app, ProxyHeadersMiddleware) else ()
    if not forwarded or not proxies or host not in proxies:
        return host
    return proxies.get_trusted_client_address(forwarded)[0] or host
