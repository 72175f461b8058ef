"""Request ids and the access log."""

import logging
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from server.observability.access_log import RequestIds, current_request_id
from tests.support.client import Api

MADE = re.compile(r"[0-9a-f]{16}")


async def send_request_id(_: Request) -> PlainTextResponse:
    return PlainTextResponse(current_request_id())


async def logged(request: Request) -> PlainTextResponse:
    request.state.log.update(operation="query devices", outcome=request.query_params["outcome"])
    return PlainTextResponse(request.state.request_id)


async def fail(_: Request) -> None:
    raise ZeroDivisionError("a secret detail")


async def break_off(_: Request) -> StreamingResponse:
    async def body() -> AsyncIterator[bytes]:
        yield b"the beginning"
        raise ZeroDivisionError("halfway")

    return StreamingResponse(body())


async def read(request: Request) -> PlainTextResponse:
    return PlainTextResponse(await request.body())


async def greet(socket: WebSocket) -> None:
    await socket.accept(headers=[(b"x-other", b"kept")])
    await socket.send_text(f"{current_request_id()} {socket.state.request_id}")
    await socket.close()


def small_app() -> Starlette:
    return Starlette(
        routes=[
            Route("/", send_request_id),
            Route("/logged", logged),
            Route("/fail", fail),
            Route("/cut", break_off),
            Route("/read", read, methods=["POST"]),
            Route("/readyz", fail),
            Route("/healthz", send_request_id),
            WebSocketRoute("/socket", greet),
        ]
    )


@asynccontextmanager
async def client(**options: Any) -> AsyncIterator[httpx.AsyncClient]:
    app = small_app()
    app.add_middleware(RequestIds, **options)
    transport = httpx.ASGITransport(app, client=("203.0.113.7", 4711))
    async with httpx.AsyncClient(transport=transport, base_url="http://rollcall.test") as http:
        yield http


async def test_valid_request_id_is_used() -> None:
    async with client() as http:
        for id in ("a", "A.b_c-9", "x" * 64):
            response = await http.get("/", headers={"X-Request-Id": id})
            assert response.text == id
            assert response.headers.get_list("x-request-id") == [id]
    assert current_request_id() is None


@pytest.mark.parametrize("id", ["", "x" * 65, "a b", "a;b", "<b>", 'a"b', "ä".encode()])
async def test_invalid_request_id_is_replaced(id: str | bytes) -> None:
    async with client() as http:
        response = await http.get("/", headers=[(b"x-request-id", id)])  # type: ignore[list-item]
        assert MADE.fullmatch(response.text)
        assert response.headers["x-request-id"] == response.text


async def test_generated_request_ids_are_unique() -> None:
    async with client() as http:
        assert len({(await http.get("/")).text for _ in range(20)}) == 20


async def test_every_response_has_a_request_id(api: Api) -> None:
    answers = [
        await api.post("{ me { id } }", api.admin),
        await api.post("{ me { id } }", "no-such-token"),
        await api.http.post("/graphql", content=b"{"),
        await api.http.get("/nowhere"),
        await api.http.delete("/graphql"),
        await api.http.get("/healthz"),
    ]
    assert [answer.status_code for answer in answers] == [200, 401, 415, 404, 405, 200]
    ids = [answer.headers["x-request-id"] for answer in answers]
    assert all(map(MADE.fullmatch, ids))
    assert len(set(ids)) == len(ids)


async def test_internal_error_response_has_the_logged_id(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with client() as http:
        response = await http.get("/fail", headers={"X-Request-Id": "given-1"})
    assert response.status_code == 500
    assert response.headers["x-request-id"] == "given-1"
    assert response.json() == {
        "errors": [
            {
                "message": "Internal error given-1: it has been logged.",
                "extensions": {"code": "INTERNAL", "id": "given-1"},
            }
        ]
    }
    [error] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "given-1" in error.getMessage()
    assert "a secret detail" in caplog.text


async def test_exception_while_streaming_breaks_off_the_response(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with client() as http:
        with pytest.raises(ZeroDivisionError):
            await http.get("/cut")
    assert [r.name for r in caplog.records if r.exc_info] == ["rollcall.requests"]


async def test_client_disconnect_counts_as_499_and_logs_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    counted: list[tuple[str, int]] = []
    app = small_app()
    app.add_middleware(RequestIds, on_response=lambda *answer: counted.append(answer))
    messages = iter([{"type": "http.request", "body": b"ha", "more_body": True}])

    async def receive() -> Message:
        return next(messages, {"type": "http.disconnect"})

    async def send(_: Message) -> None:
        raise AssertionError

    scope = {"type": "http", "method": "POST", "path": "/read", "headers": [], "query_string": b""}
    await app(scope, receive, send)
    assert counted == [("POST", 499)]
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[tuple[str, dict[str, Any]]]]:
    caplog.set_level(logging.DEBUG, "rollcall.requests")

    def read() -> list[tuple[str, dict[str, Any]]]:
        return [
            (record.levelname, record.__dict__["fields"])
            for record in caplog.records
            if record.getMessage() == "request"
        ]

    return read


async def test_request_writes_one_log_line(lines: Callable[[], Any]) -> None:
    async with client() as http:
        await http.get("/logged?outcome=ok&query=hidden")
    [(level, fields)] = lines()
    assert level == "DEBUG"
    assert 0 <= fields.pop("milliseconds") < 10_000
    assert fields == {
        "method": "GET",
        "path": "/logged",
        "status": 200,
        "client": "203.0.113.7",
        "operation": "query devices",
        "outcome": "ok",
    }


@pytest.mark.parametrize("path", ["/nowhere", "/logged?outcome=NOT_ALLOWED", "/fail", "/readyz"])
async def test_failed_request_is_logged_at_info(lines: Callable[[], Any], path: str) -> None:
    async with client() as http:
        await http.get(path)
    assert [level for level, _ in lines()] == ["INFO"]


async def test_health_probe_writes_no_log_line(lines: Callable[[], Any]) -> None:
    async with client() as http:
        assert (await http.get("/healthz")).status_code == 200
    assert lines() == []


async def test_path_is_escaped_and_truncated_in_log(lines: Callable[[], Any]) -> None:
    async with client() as http:
        await http.get("/%0Aerror%1B%5B31m/" + "x" * 1000)
    [(_, fields)] = lines()
    assert fields["path"].startswith("/%0Aerror%1B%5B31m/")
    assert len(fields["path"]) < 1000


async def test_responses_are_counted() -> None:
    counted: list[tuple[str, int]] = []
    async with client(on_response=lambda *answer: counted.append(answer)) as http:
        for path in ("/", "/nowhere", "/fail", "/healthz"):
            await http.get(path)
    assert counted == [("GET", 200), ("GET", 404), ("GET", 500), ("GET", 200)]


async def test_streaming_response_is_not_buffered() -> None:
    """The first piece is sent before the second one is produced."""
    sent: list[bytes] = []

    async def endless(_: Request) -> StreamingResponse:
        async def body() -> AsyncIterator[bytes]:
            for piece in (b"one", b"two"):
                yield piece
                assert sent[-1] == piece

        return StreamingResponse(body())

    app = Starlette(routes=[Route("/", endless)])
    app.add_middleware(RequestIds)

    async def send(message: Message) -> None:
        if message.get("body"):
            sent.append(message["body"])

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""}
    await app({**scope, "asgi": {"spec_version": "2.4"}}, _nothing, send)
    assert sent == [b"one", b"two"]


async def _nothing() -> Message:
    raise ClientDisconnect


async def websocket_messages(
    app: Callable[[Scope, Receive, Send], Any], path: str
) -> list[Message]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(dict(message))

    headers = [(b"x-request-id", b"socket-1")]
    scope = {"type": "websocket", "path": path, "headers": headers, "query_string": b""}
    await app(scope, receive, send)
    return sent


async def test_websocket_has_one_request_id() -> None:
    accepted, greeting, _ = await websocket_messages(RequestIds(small_app()), "/socket")
    assert accepted["headers"] == [(b"x-other", b"kept"), (b"x-request-id", b"socket-1")]
    assert greeting["text"] == "socket-1 socket-1"


async def test_internal_error_in_websocket_is_logged_with_id(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def broken(_: Scope, __: Receive, ___: Send) -> None:
        raise ZeroDivisionError("a secret detail")

    with pytest.raises(ZeroDivisionError):
        await websocket_messages(RequestIds(broken), "/socket")
    [error] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "socket-1" in error.getMessage()
    assert error.exc_info
