"""The listening sockets, and the server with a graceful stop."""

import asyncio
import gc
import logging
import socket
import sys
from collections.abc import Callable
from types import FrameType

import typer
import uvicorn
from fastapi import FastAPI

from mqtt.embedded import PortTaken
from mqtt.embedded import listen as mqtt_listen
from server.settings import Settings
from server.transport.http_protocol import HTTPProtocol
from server.transport.websocket_protocol import WebSocketProtocol

log = logging.getLogger("rollcall.server")

# Seconds. Requests that run when the server is stopped have this long to finish.
GRACE_SECONDS = 4
# Seconds after which the connection of a client that neither reads nor answers is closed.
UNREAD_SECONDS = 30
PING_SECONDS = 20
# Fewer collections than by default: there is little cyclic garbage.
GC_THRESHOLDS = (20_000, 20, 50)


class Server(uvicorn.Server):
    """Asks subscribers to reconnect, before it waits for running requests.

    `alone`: nothing else runs in the process. `started_up`: called once the port answers.
    `failure`: the reason in one line, if the server has ended by itself. `reload_requested`: asked
    ten times a second whether to read the trusted documents again.
    """

    alone = False
    failure: str | None = None
    started_up: Callable[[], None] | None = None
    reload_requested: Callable[[], bool] | None = None
    _reloading: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.alone:
            # The objects of the start live as long as the process. Without `freeze`, each full
            # collection would scan them, which takes up to 100 ms.
            gc.collect()
            gc.freeze()
            gc.set_threshold(*GC_THRESHOLDS)
        if self.started_up and not self.should_exit:
            self.started_up()

    async def on_tick(self, counter: int) -> bool:
        is_reloading = self._reloading is not None and not self._reloading.done()
        if self.reload_requested and not is_reloading and self.reload_requested():
            self._reloading = asyncio.create_task(self._reload())
        return await super().on_tick(counter)

    async def _reload(self) -> None:
        try:
            await self._app.state.trusted.reload()
        except Exception:
            log.exception("The trusted documents could not be read again.")

    def give_up(self, reason: str) -> None:
        """Stop gracefully, because of an error that a retry can't heal."""
        self.failure = reason
        self._app.state.stop.begin()
        self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._app.state.stop.begin()
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        state = self._app.state
        if state.stop.begun:
            await state.stop.drained()
        log.info("Stopping: running requests may finish, subscribers are asked to reconnect.")
        state.connections.restart()
        await state.connections.closed()
        await super().shutdown(sockets)
        log.info("Stopped.")

    @property
    def _app(self) -> FastAPI:
        app = self.config.app
        assert isinstance(app, FastAPI)  # noqa: S101
        return app


def reachable(host: str, port: int) -> str:
    """Return host and port as in a URL: `127.0.0.1:8000`, `[::1]:8000`.

    If the server listens on all addresses, the host is the loopback address.
    """
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def server_for(app: FastAPI, settings: Settings) -> Server:
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        http=HTTPProtocol,
        ws=WebSocketProtocol,
        ws_max_size=settings.max_body_bytes,
        ws_per_message_deflate=False,
        ws_ping_interval=PING_SECONDS,
        ws_ping_timeout=PING_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
        forwarded_allow_ips=settings.trusted_proxies,
        server_header=False,
    )
    return Server(config)


def listen(host: str, port: int) -> socket.socket:
    """Open the socket, or end the process with a message.

    Called before anything else is started, so that a port in use has no side effects.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _limit_unread(listening)
        listening.bind((host, port))
    except OSError as error:
        typer.echo(
            f"Can't listen on {host}:{port} ({error.strerror}): "
            "set ROLLCALL_HOST or ROLLCALL_PORT.",
            err=True,
        )
        sys.exit(1)
    return listening


def listen_for_mqtt(host: str, port: int) -> socket.socket:
    """Open the socket of the embedded broker, or end the process with a message."""
    try:
        return mqtt_listen(host, port)
    except PortTaken as error:
        typer.echo(
            f"{error.strerror}: set ROLLCALL_MQTT_PORT to another port, ROLLCALL_MQTT_URL to "
            "another broker, or ROLLCALL_MQTT=off.",
            err=True,
        )
        sys.exit(1)


def _limit_unread(listening: socket.socket) -> None:
    """Set UNREAD_SECONDS on the socket; accepted connections inherit it.

    Linux only. Other systems use their default timeouts.
    """
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        milliseconds = UNREAD_SECONDS * 1000
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, UNREAD_SECONDS)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, UNREAD_SECONDS // 3)
