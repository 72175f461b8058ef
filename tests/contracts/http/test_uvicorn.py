"""Undocumented behaviour of uvicorn that `server/transport/` relies on."""

import asyncio
import inspect
import signal
import socket
from http import HTTPStatus
from typing import Any

import pytest
import uvicorn
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from server.http.default_headers import NO_SNIFF, NO_STORE
from server.transport.http_protocol import HTTPProtocol
from tests.contracts.http.serving import echo, exchange, serving
from tests.support.waiting import until

GET = b"GET /a%20b?c=1 HTTP/1.1\r\nHost: x\r\nX-Some: Thing\r\n\r\n"
LAST = b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
POST = b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
ENDING = b"POST /p HTTP/1.1\r\nConnection: close\r\nContent-Length: 3\r\n\r\n"
CHUNKED = b"POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
EXPECTING = b"POST /e HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
LARGE = 200_000
HEAD = ["on_message_begin", "on_url", "on_header", "on_headers_complete"]

REQUESTS = {
    "one": [LAST],
    "pipelined": [GET + POST % 3 + b"abc" + GET + LAST],
    "in pieces": [GET[:9], GET[9:30], GET[30:], POST % 4, b"ab", b"cd", LAST],
    "large": [POST % LARGE, b"x" * LARGE, LAST],
    "chunked": [CHUNKED + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n" + LAST],
    "old": [b"GET /old HTTP/1.0\r\nHost: x\r\n\r\n"],
    "without a body": [b"HEAD /h HTTP/1.1\r\nHost: x\r\n\r\n" + LAST],
    "expecting": [EXPECTING, b"ab" + LAST],
    "broken": [b"\0\1\2\r\n\r\n"],
    "broken after another": [GET, b"NO HTTP\r\n\r\n"],
    "two lengths": [b"POST /p HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"],
}


class Recorder(HttpToolsProtocol):
    """`called`: the parser's callbacks in order; `waiting`: for each URL, whether the response to
    the previous request was still incomplete.
    """

    called: list[str]
    waiting: list[bool]

    def on_message_begin(self) -> None:
        self.called.append("on_message_begin")
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self.called.append("on_url")
        self.waiting.append(self.cycle is not None and not self.cycle.response_complete)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.called[-1] != "on_header":
            self.called.append("on_header")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self.called.append("on_headers_complete")
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self.called.append("on_body")
        super().on_body(body)

    def on_message_complete(self) -> None:
        self.called.append("on_message_complete")
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        self.called.append("send_400_response")
        super().send_400_response(msg)

    def on_response_complete(self) -> None:
        self.called.append("on_response_complete")
        super().on_response_complete()


@pytest.fixture
def recorder() -> type[Recorder]:
    return type("FreshRecorder", (Recorder,), {"called": [], "waiting": []})


async def test_parser_callbacks_of_one_request(recorder: type[Recorder]) -> None:
    """`HTTPProtocol` overrides these callbacks."""
    async with serving(http=recorder) as (_, port):
        assert b"200 OK" in await exchange(
            port, (POST % 3).replace(b"\r\n", b"\r\nConnection: close\r\n", 1) + b"abc"
        )
    assert recorder.called == [*HEAD, "on_body", "on_message_complete", "on_response_complete"]


async def test_parser_callbacks_of_pipelined_requests(recorder: type[Recorder]) -> None:
    """`HTTPProtocol` detects that a second request begins before the first is answered."""
    async with serving(http=recorder) as (_, port):
        assert (await exchange(port, GET + LAST)).count(b"200 OK") == 2
    both = [*HEAD, "on_message_complete"] * 2
    assert recorder.called == [*both, *["on_response_complete"] * 2]
    assert recorder.waiting == [False, True]


async def test_disconnect_reaches_the_last_request_of_a_pipeline_only() -> None:
    """`HTTPProtocol` tells it to the running one, which passes through `_start_asgi_task`."""
    cycles: list[Any] = []
    lost: list[list[bool]] = []

    class Reader(HttpToolsProtocol):
        def _start_asgi_task(self, cycle: Any, app: Any) -> None:
            cycles.append(cycle)
            super()._start_asgi_task(cycle, app)

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            lost.append([each.disconnected for each in (*cycles, self.cycle)])

    async def never_responds(_: Any, receive: Any, __: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    async with serving(never_responds, http=Reader) as (_, port):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(POST % 3 + b"abc" + POST % 3)
        await writer.drain()
        await until(lambda: cycles)
        writer.transport.abort()
        await until(lambda: lost)
        cycles[0].disconnected = True
        cycles[0].message_event.set()
    assert lost == [[False, True]]


async def test_parser_callbacks_of_large_request(recorder: type[Recorder]) -> None:
    """The body arrives in pieces, between the head and the end."""
    async with serving(http=recorder) as (_, port):
        await exchange(port, POST % LARGE + b"x" * LARGE + LAST)
    first = recorder.called[: recorder.called.index("on_message_complete")]
    assert first[:4] == HEAD
    assert set(first[4:]) == {"on_body"}
    assert len(first) > 5


async def test_parser_callbacks_of_invalid_request(recorder: type[Recorder]) -> None:
    """Uvicorn rejects it without calling `on_headers_complete`."""
    async with serving(http=recorder) as (_, port):
        assert (await exchange(port, b"\0\1\2\r\n\r\n")).startswith(STATUS_LINE[400])
    assert "on_headers_complete" not in recorder.called
    assert recorder.called[-1] == "send_400_response"


@pytest.mark.parametrize("kind", REQUESTS)
async def test_responses_are_equal_to_uvicorns(kind: str) -> None:
    """`HTTPProtocol` buffers a request head and passes it to uvicorn's callbacks when complete."""
    found = []
    for protocol in (HttpToolsProtocol, HTTPProtocol):
        async with serving(http=protocol) as (_, port):
            found.append(await exchange(port, *REQUESTS[kind]))
    assert found[0] == _without_defaults(found[1])
    assert found[0].startswith(b"HTTP/1.1 ")


def _without_defaults(response: bytes) -> bytes:
    """Remove the headers that Rollcall adds to refusals."""
    for name, value in (NO_SNIFF, NO_STORE):
        response = response.replace(b"%b: %b\r\n" % (name, value), b"")
    return response


async def test_protocol_attributes() -> None:
    """`HTTPProtocol` and `FastRequestCycle` use each of these attributes."""
    found: dict[str, Any] = {}

    class Reader(HttpToolsProtocol):
        def on_headers_complete(self) -> None:
            found["method"] = self.parser.get_method()
            found["version"] = self.parser.get_http_version()
            found["stays"] = self.parser.should_keep_alive()
            found["url"], found["headers"] = self.url, [*self.headers]
            found["loop"] = self.loop
            found["tasks"] = self.tasks is self.server_state.tasks
            found["client"] = self.client
            found["paused"] = (self.flow.write_paused, self.flow.read_paused)
            found["drain"] = inspect.iscoroutinefunction(self.flow.drain)
            found["pipeline"] = len(self.pipeline)
            found["cycle"] = self.cycle
            found["app"], found["wrapped"] = self.config.app, self.app
            found["requests"] = self.server_state.total_requests
            super().on_headers_complete()

    async with serving(http=Reader) as (_, port):
        await exchange(port, LAST)
    assert found.pop("client")[0] == "127.0.0.1"
    assert isinstance(found.pop("wrapped"), ProxyHeadersMiddleware)
    assert found == {
        "method": b"GET",
        "version": "1.1",
        "stays": False,
        "url": b"/last",
        "headers": [(b"host", b"x"), (b"connection", b"close")],
        "loop": asyncio.get_running_loop(),
        "tasks": True,
        "paused": (False, False),
        "drain": True,
        "pipeline": 0,
        "cycle": None,
        "app": echo,
        "requests": 0,
    }


async def test_uvicorn_uses_only_these_attributes_of_a_cycle() -> None:
    """`FastRequestCycle` replaces `cycle` and has only these attributes, as slots."""
    changed: list[tuple[str, Any]] = []

    class Cycle:
        __slots__ = ("disconnected", "keep_alive", "message_event", "response_complete")

        def __init__(self) -> None:
            self.disconnected = self.response_complete = False
            self.keep_alive, self.message_event = True, asyncio.Event()

        def __setattr__(self, name: str, value: Any) -> None:
            object.__setattr__(self, name, value)
            changed.append((name, value))

    class CycleProtocol(HttpToolsProtocol):
        def on_headers_complete(self) -> None:
            self.cycle = Cycle()  # type: ignore[assignment]
            changed.clear()
            made.append(self.cycle)

        def on_message_complete(self) -> None:
            """No-op: the request stays unanswered."""

    made: list[Any] = []
    async with serving(http=CycleProtocol) as (server, port):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET)
        await until(lambda: made)
        protocol: Any = next(iter(server.server_state.connections))
        protocol.shutdown()
        assert changed == [("keep_alive", False)]
        assert not protocol.transport.is_closing()
        writer.transport.abort()
        await until(made[0].message_event.is_set)
        assert made[0].disconnected
        made[0].response_complete = True


async def test_status_lines_and_default_headers() -> None:
    """`FastRequestCycle` starts responses with them; `DefaultLines` caches by identity."""
    assert STATUS_LINE[200] == b"HTTP/1.1 200 OK\r\n"
    assert all(STATUS_LINE[status].endswith(b"\r\n") for status in HTTPStatus)
    async with serving() as (server, _):
        first = server.server_state.default_headers
        assert [name for name, _ in first] == [b"date"]
        await until(lambda: server.server_state.default_headers != first)
        assert server.server_state.default_headers is not first


def test_trusted_proxy_gives_client_address() -> None:
    """`http_protocol` finds the client address as this middleware does."""
    wrapped = ProxyHeadersMiddleware(echo, trusted_hosts="10.0.0.0/8")
    trusted = wrapped.trusted_hosts
    assert "10.1.2.3" in trusted
    assert "192.0.2.1" not in trusted
    assert trusted.get_trusted_client_address("192.0.2.1, 10.1.1.1") == ("192.0.2.1", 0)


async def test_keep_alive_timeout_handler_closes_idle_connection(recorder: type[Recorder]) -> None:
    """`FastPath` ends idle connections by `timeout_keep_alive_handler`, as uvicorn does."""
    async with serving(http=recorder, timeout_keep_alive=60) as (server, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET)
        await until(lambda: "on_response_complete" in recorder.called)
        protocol: Any = next(iter(server.server_state.connections))
        assert protocol.timeout_keep_alive_task is not None
        protocol.timeout_keep_alive_handler()
        assert (await reader.read()).startswith(b"HTTP/1.1 200")
        writer.transport.abort()


async def test_startup_and_shutdown_order() -> None:
    """`Server` in `listen` extends each of these steps."""
    steps: list[str] = []

    class RecordingServer(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            steps.append(f"started {self.started} {self.should_exit} {len(sockets)}")

        async def shutdown(self, sockets: Any = None) -> None:
            steps.append(f"shutdown {len(self.server_state.connections)} {len(sockets)}")
            await super().shutdown(sockets)
            steps.append("closed")

    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    config = uvicorn.Config(echo, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
    server = RecordingServer(config)
    running = asyncio.create_task(server.serve(sockets=[listening]))
    await until(lambda: server.started)
    assert config.app is echo
    server.should_exit = True
    await running
    assert steps == ["started True False 1", "shutdown 0 1", "closed"]


def test_handle_exit_sets_should_exit() -> None:
    """`Server` in `listen` overrides `handle_exit` and calls uvicorn's."""
    assert [*inspect.signature(uvicorn.Server.handle_exit).parameters] == ["self", "sig", "frame"]
    server = uvicorn.Server(uvicorn.Config(echo, log_config=None))
    server.handle_exit(signal.SIGTERM, None)
    assert server.should_exit
