"""The socket, and the server on it that stops in an orderly way."""

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

# Seconds. Requests that still run when the server is told to stop have this long to finish.
GRACE_SECONDS = 4
# A client that takes nothing, or is gone without a word, holds a connection so long.
UNREAD_SECONDS = 30
PING_SECONDS = 20
GARBAGE = (20_000, 20, 50)


class Server(uvicorn.Server):
    """Tells those who stay connected that it restarts, before it waits for all to be done.

    `alone`: the process is there for nothing else. `started_up`: called once the port answers.
    `failure`: why it has ended by itself, in one line.
    """

    alone = False
    failure: str | None = None
    started_up: Callable[[], None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.alone:
            # What is there now stays, as do connections: looking for garbage among it takes up to
            # 100 ms each time, and there is little.
            gc.collect()
            gc.freeze()
            gc.set_threshold(*GARBAGE)
        if self.started_up and not self.should_exit:
            self.started_up()

    def give_up(self, reason: str) -> None:
        """Ends in an orderly way."""
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
    """Of a page or server as it is written in a URL: `127.0.0.1:8000`, `[::1]:8000`; this machine's
    own address where it listens on all.
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
    """Before anything else is started, so that a taken port leaves nothing half-done."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _limit_waiting(listening)
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
    """As `listen`, for the embedded broker."""
    try:
        return mqtt_listen(host, port)
    except PortTaken as taken:
        typer.echo(
            f"{taken.strerror}: set ROLLCALL_MQTT_PORT to another port, ROLLCALL_MQTT_URL to a "
            "broker of your own, or ROLLCALL_MQTT=off.",
            err=True,
        )
        sys.exit(1)


def _limit_waiting(listening: socket.socket) -> None:
    """Accepted connections inherit it. Linux only; elsewhere the system's own time-outs hold."""
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        milliseconds = UNREAD_SECONDS * 1000
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, UNREAD_SECONDS)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, UNREAD_SECONDS // 3)
