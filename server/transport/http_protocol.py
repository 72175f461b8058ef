"""uvicorn's HTTP protocol, with limits that it leaves to a reverse proxy, and the fast path."""

import asyncio
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from concurrency.connection_guard import ConnectionGuard, GuardedConnection
from concurrency.idle_timer import IdleTimer
from server.http.authenticated import AUTHENTICATED
from server.http.body import BODY_SECONDS
from server.transport.fast_path import MAX_FAST_BODY_BYTES, URL, Closing, FastPath, FastRequestCycle
from server.transport.header_lines import refusal
from server.transport.host import has_valid_host
from server.transport.proxies import address, is_proxy, url_scheme
from server.transport.slices import Slices, TooMuch

MAX_HEAD_BYTES = 32_768
MAX_HEADERS = 100
# Up to some 300 small requests.
SLICE_BYTES = 16_384
# Chunks of one body of which most are shorter than 16 bytes cost more than they bring.
FEW_CHUNKS, MIN_CHUNK_BYTES = 256, 16
HEAD_SECONDS = 20
CLOSE = b"connection: close\r\n"
BAD_REQUEST = (HTTPStatus.BAD_REQUEST, "Invalid HTTP request received.")
BAD_HOST = (HTTPStatus.BAD_REQUEST, "Send one valid Host header.")
TOO_LARGE = (HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The head of the request is too large.")
BUSY = (HTTPStatus.SERVICE_UNAVAILABLE, "Too many connections: try again soon.")
RETRY_AFTER = (b"retry-after", b"5")


class StopParsing(Exception):
    """Stops the parser."""


class HTTPProtocol(HttpToolsProtocol):
    """Limits the time and size of a request's head, and handles large data in slices.

    Refuses a request without a valid Host header (RFC 9112, section 3.2).

    Requests for the application's `fast_path` start there once their body is complete. uvicorn
    passes all others to ASGI.
    """

    _in_head = True
    _in_message = False
    _message_bytes = 0
    _guarded: GuardedConnection | None = None
    _head_bytes = 0
    _reason = BAD_REQUEST
    _refused = False
    # The cycle that runs or has run last. `cycle` is the one that was received last.
    _running: Any = None
    _timer: asyncio.TimerHandle | None = None
    _fast_path: FastPath | None = None
    _idle: IdleTimer[Closing] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._slices = Slices(transport, self._handle, SLICE_BYTES)
        super().connection_made(self._slices.transport)
        if not self._admit():
            self._refuse_busy()
            return
        if fast_path := getattr(self.config.app, "fast_path", None):
            self._fast_path, self._idle = fast_path, fast_path.idle
        self._start_read_timer()

    def _admit(self) -> bool:
        """Count the connection. False: there are too many."""
        guard: ConnectionGuard | None = getattr(self.config.app, "guard", None)
        if guard is None:
            return True
        # A proxy has the connections of many clients, and its own limits.
        host = self.client[0] if self.client else None
        self._guarded = guard.open(None if is_proxy(self.app, host) else host)
        self._slices.guard(self._guarded)
        return self._guarded is not None

    def _refuse_busy(self) -> None:
        self._refused = True
        headers = [*self.server_state.default_headers, RETRY_AFTER]
        self.transport.write(refusal(*BUSY, headers))
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._guarded:
            self._guarded.close()
        self._stop_read_timer()
        if self._idle:
            self._idle.stop(self)
        super().connection_lost(exc)
        running = self._running
        if running is not None and not running.response_complete:
            # uvicorn does this for the last request of a pipeline only.
            running.disconnected = True
            running.message_event.set()

    def data_received(self, data: bytes) -> None:
        try:
            self._slices.received(data)
        except TooMuch:
            self._refuse_busy()

    def _handle(self, data: bytes) -> None:
        if self._refused:
            return
        if self._idle:
            self._idle.stop(self)
        earlier: Any = self.cycle
        responded = earlier is not None and earlier.response_complete
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
                self._refuse(*TOO_LARGE)
        self._start_read_timer(left_over=responded and self.cycle is earlier)
        self._message_bytes = self._message_bytes + len(data) if self._in_message else 0
        self._hand_over()

    def _hand_over(self) -> None:
        """Pass the rest to the protocol that took over, if this was an upgrade."""
        protocol = self.transport.get_protocol()
        if protocol is not self and (rest := self._slices.take_all()):
            protocol.data_received(rest)  # type: ignore[attr-defined]

    def send_400_response(self, _: str) -> None:
        self._refuse(*self._reason)

    def _refuse(self, status: HTTPStatus, text: str) -> None:
        """Answer a malformed request, and close the connection."""
        self._refused = True
        cycle: Any = self.cycle
        if self._in_head and cycle is not None and not cycle.response_complete:
            # Responses to earlier requests come first. The last one closes the connection.
            cycle.keep_alive = False
            return
        self.transport.write(refusal(status, text, self.server_state.default_headers))
        self.transport.close()

    def on_message_begin(self) -> None:
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self._in_head, self._head_bytes, self._in_message = True, 0, True
        self._chunks = self._body_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Raises StopParsing if there are too many headers."""
        if len(self.headers) >= MAX_HEADERS:
            self._reason = TOO_LARGE
            raise StopParsing
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Raises StopParsing if the Host header is invalid."""
        if not has_valid_host(self.url, self.headers, self.parser.get_http_version()):
            self._reason = BAD_HOST
            raise StopParsing
        self._in_head = False
        self._stop_read_timer()
        cycle = self._new_fast_cycle()
        if cycle is None:
            self._create_scope()
            return
        is_new = self.parser.get_http_version() != "1.0"
        cycle.keep_alive = is_new and self.parser.should_keep_alive()
        self.cycle = self._running = cycle  # type: ignore[assignment]

    def on_chunk_header(self) -> None:
        self._chunks += 1
        if self._chunks > FEW_CHUNKS and self._body_bytes < self._chunks * MIN_CHUNK_BYTES:
            raise StopParsing

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        cycle: Any = self.cycle
        if cycle.__class__ is not FastRequestCycle:
            super().on_body(body)
            return
        if cycle.reading:
            cycle.body += body
        if len(cycle.body) > MAX_FAST_BODY_BYTES:
            self._fall_back(cycle)

    def on_message_complete(self) -> None:
        self._in_message = False
        cycle: Any = self.cycle
        if cycle.__class__ is FastRequestCycle:
            self._stop_read_timer()
            if not cycle.reading or cycle.begin():
                return
            self._fall_back(cycle)
        super().on_message_complete()

    def _new_fast_cycle(self) -> FastRequestCycle | None:
        """Return None if the fast path does not apply, or an earlier request is still running."""
        if (
            self._fast_path is None
            or self.url != URL
            or (self.cycle is not None and not self.cycle.response_complete)
            or self.parser.get_method() != b"POST"
        ):
            return None
        return self._fast_path.new_cycle(self, self.headers)

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _fall_back(self, cycle: FastRequestCycle) -> None:
        """Pass the request to ASGI, with the part of its body that was read."""
        self._stop_read_timer()
        self.cycle = None  # type: ignore[assignment]
        self._create_scope()
        super().on_body(cycle.body)

    def _create_scope(self) -> None:
        """Replay the head to uvicorn, which creates the ASGI scope and starts the application."""
        url, headers = self.url, self.headers
        super().on_message_begin()
        self.url = url
        for name, value in headers:
            super().on_header(name, value)
        super().on_headers_complete()
        if self._guarded:
            # The application starts after this.
            self.scope[AUTHENTICATED] = self.authenticated  # type: ignore[literal-required]

    def on_response_complete(self) -> None:
        self.response_sent()
        super().on_response_complete()

    def response_sent(self) -> None:
        """Hold no more than the next message, as far as it has arrived."""
        if self._guarded:
            self._guarded.keep(self._message_bytes + self._slices.size)

    def authenticated(self) -> None:
        """The client has shown a valid token."""
        if self._guarded:
            self._guarded.authenticated()

    def address(self, forwarded: bytes | None) -> str | None:
        return address(self.app, self.client, forwarded.decode("latin-1") if forwarded else None)

    def url_scheme(self, forwarded: bytes | None) -> str:
        return url_scheme(self.app, self.client, forwarded) or self.scheme or "http"

    @property
    def http_version(self) -> str:
        return str(self.parser.get_http_version())

    @property
    def paused(self) -> bool:
        """Whether the send buffer is full because the client does not read."""
        return bool(self.flow.write_paused)

    async def drained(self) -> None:
        """Wait until the send buffer has room, or the client has disconnected."""
        if self.flow.write_paused:
            await self.flow.drain()

    def send_response(self, cycle: FastRequestCycle, response: list[bytes]) -> None:
        """`response`: status line, headers, empty line and body, as parts."""
        if not cycle.keep_alive:
            response.insert(2, CLOSE)
        assert self._fast_path is not None  # noqa: S101
        response.insert(1, self._fast_path.default_lines(self.server_state.default_headers))
        self.transport.write(b"".join(response))
        if not cycle.keep_alive:
            self.transport.close()
        if self._idle is None or self.pipeline or self.flow.read_paused:
            self.on_response_complete()
        else:
            self.server_state.total_requests += 1
            self.response_sent()
            self._idle.start(self, self.loop)

    def _start_read_timer(self, *, left_over: bool = False) -> None:
        """Limit the time for a head, for the body of a fast cycle, and for left-over data.

        A late head closes the connection. A late body is answered, which closes it, too.
        `left_over`: data was received that belongs to no running request, such as the rest of a
        refused body, or empty lines. uvicorn has stopped its idle timeout.
        """
        if self._timer:
            return
        cycle: Any = self.cycle
        if self._in_head:
            self._timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)
        elif cycle.__class__ is FastRequestCycle and cycle.reading:
            self._timer = self.loop.call_later(BODY_SECONDS, cycle.too_slow)
        elif left_over and self.transport.get_protocol() is self:
            self._timer = self.loop.call_later(BODY_SECONDS, self.transport.close)

    def _stop_read_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
