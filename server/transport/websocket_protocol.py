"""uvicorn's WebSocket protocol, with limits and a shortcut to `/graphql`."""

from http import HTTPStatus
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol

from server.graphql.websocket import WRITE
from server.http.authenticated import AUTHENTICATED
from server.http.default_headers import NO_SNIFF, NO_STORE
from server.transport.fast_path import PATH
from server.transport.header_lines import refusal
from server.transport.proxies import address
from server.transport.slices import Slices, TooMuch

MAX_FRAGMENTS = 1_000
# Up to some 700 small frames.
SLICE_BYTES = 4_096
MEDIUM_FRAME = 126
LARGE_FRAME = 65_536


class Handshake(ServerProtocol):
    """Adds the headers of every response to a handshake's refusal."""

    def reject(self, status: Any, text: str) -> Response:
        response = super().reject(status, text)
        for name, value in (NO_SNIFF, NO_STORE):
            response.headers[name.decode()] = value.decode()
        return response


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """Drops a peer that sends pings without reading, or fragments without a last one.

    Connections to `/graphql` go directly to the application's `live`. They drop the headers of
    their handshake to save memory, since there may be thousands of connections.
    """

    _message_bytes = 0

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.conn = Handshake(max_size=self.config.ws_max_size, logger=self.conn.logger)

    def connection_made(self, transport: Any) -> None:
        self._slices = Slices(transport, self._handle, SLICE_BYTES)
        super().connection_made(self._slices.transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if guarded := self._slices.guarded:
            guarded.close()
        super().connection_lost(exc)
        # Objects in cycles would keep it until the next collection.
        self.conn.reader.discard()
        self.frames = []

    def data_received(self, data: bytes) -> None:
        try:
            self._slices.received(data)
        except TooMuch:
            self.transport.abort()

    async def receive(self) -> Any:
        message = await super().receive()
        if self._slices.guarded and self.queue.empty():
            self._slices.guarded.keep(self._message_bytes + self._slices.size)
        return message

    def _handle(self, data: bytes) -> None:
        """Refuse what is not a handshake, such as a POST. websockets waits for its end forever."""
        self._message_bytes += len(data)
        super().data_received(data)
        if self.conn.handshake_exc and not self.handshake_initiated:
            text = "Invalid WebSocket handshake received."
            self.logger.warning(text)
            self.transport.write(refusal(HTTPStatus.BAD_REQUEST, text, self.default_headers))
            self.transport.close()

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        live = getattr(self.config.app, "live", None)
        accepted = self.response.status_code == HTTPStatus.SWITCHING_PROTOCOLS
        if live and accepted and self.scope["path"] == PATH:
            client = self.scope["client"]
            forwarded = event.headers.get_all("X-Forwarded-For")
            found = address(self.app, client, forwarded[-1] if forwarded else None)
            self.scope["client"] = (found, client[1]) if found and client else client
            self.scope[WRITE] = self.write_text  # type: ignore[literal-required]
            if guarded := self._slices.guarded:
                self.scope[AUTHENTICATED] = guarded.authenticated  # type: ignore[literal-required]
            self.app = live

    def write_text(self, text: bytes) -> bool:
        """Send a whole message at once. Return False if that is not possible."""
        if self.conn.state is not State.OPEN or not self.writable.is_set():
            return False
        if self.close_sent or self.disconnected:
            return False
        self.transport.write(text_frame(text))
        return True

    async def send(self, message: Any) -> None:
        text = message.get("text")
        if text is not None and self.conn.state is State.OPEN:
            if not self.writable.is_set():
                await self.writable.wait()
            if self.write_text(text.encode()):
                return
        await super().send(message)
        if message["type"] == "websocket.accept":
            self.request.headers.clear()
            self.response.headers.clear()

    def send_receive_event_to_app(self) -> None:
        """Close on text that is not UTF-8 (RFC 6455, section 8.1). uvicorn logs a traceback."""
        self._message_bytes = 0
        if self.curr_msg_data_type == "text" and not self.close_sent:
            self.frames = [b"".join(self.frames)]
            if not _is_utf8(self.frames[0]):
                self.frames = []
                self._close_invalid()
                return
        super().send_receive_event_to_app()

    def _close_invalid(self) -> None:
        if self.conn.state is State.OPEN:
            self.conn.send_close(CloseCode.INVALID_DATA)
            self.handle_parser_exception()
        else:
            self.transport.close()

    def handle_ping(self) -> None:
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.transport.abort()

    def handle_cont(self, event: Frame) -> None:
        if len(self.frames) > MAX_FRAGMENTS:
            self.transport.abort()
        elif not self.transport.is_closing():
            super().handle_cont(event)

    def keepalive_timeout(self) -> None:
        """Close without uvicorn's code 1011, after which clients of graphql-ws never reconnect."""
        self.pong_timer = None
        self.transport.abort()


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def text_frame(text: bytes) -> bytes:
    """Encode a whole text message of a server (RFC 6455, section 5.2)."""
    length = len(text)
    if length < MEDIUM_FRAME:
        return b"\x81%c%b" % (length, text)
    if length < LARGE_FRAME:
        return b"\x81\x7e%b%b" % (length.to_bytes(2), text)
    return b"\x81\x7f%b%b" % (length.to_bytes(8), text)
