"""Undocumented behaviour of Starlette and FastAPI that `server/` relies on."""

import asyncio
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketState

from server.observability.tracing import Tracing


class AsgiApp:
    """An ASGI application, like `RestEndpoint`."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse(scope["method"] + str(scope["path_params"]))(scope, receive, send)

    async def one(self, request: Request) -> Response:
        return PlainTextResponse(f"{request.state.log} {request.scope['state']}")


def plain_app() -> FastAPI:
    return FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)


async def request(app: Any, method: str, path: str) -> httpx.Response:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        return await client.request(method, path)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PROPFIND"])
async def test_route_to_asgi_app_accepts_all_methods(method: str) -> None:
    """`Rest` in `rest/endpoint` appends such routes. The endpoint checks the method."""
    app = plain_app()
    app.router.routes.append(Route("/a/{id}", AsgiApp()))
    assert (await request(app, method, "/a/5")).text == method + "{'id': '5'}"


async def test_first_matching_route_is_used() -> None:
    """The reason why `Rest` sorts the routes."""
    app = plain_app()
    app.router.routes.append(Route("/a/b", AsgiApp()))
    app.router.routes.append(Route("/a/{id}", AsgiApp()))
    assert (await request(app, "GET", "/a/b")).text == "GET{}"
    assert (await request(app, "GET", "/a/b/")).status_code == 404


async def test_bound_method_endpoint_accepts_listed_methods() -> None:
    """`create_app` adds `endpoint.__call__`, a function of a request, not the object."""
    app = plain_app()
    app.add_route("/one", AsgiApp().one, methods=["POST"])

    async def middleware(scope: Any, receive: Any, send: Any) -> None:
        scope.setdefault("state", {})["log"] = {"a": 1}
        await app(scope, receive, send)

    assert (await request(middleware, "GET", "/one")).status_code == 405
    assert (await request(middleware, "POST", "/one")).text == "{'a': 1} {'log': {'a': 1}}"


async def test_body_raises_client_disconnect() -> None:
    """`RequestIds` in `access_log` does not log this error as a bug."""

    async def receive() -> Any:
        await asyncio.sleep(0)
        return {"type": "http.disconnect"}

    with pytest.raises(ClientDisconnect):
        await Request({"type": "http", "headers": []}, receive).body()


async def test_websocket_states() -> None:
    """`Session` in `graphql/websocket` checks both states before it sends or closes."""
    seen: list[Any] = []
    messages = iter(
        [{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1005}],
    )

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        seen.append(message["type"])

    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept("one")
        seen.append((websocket.client_state, websocket.application_state))
        seen.append(websocket.scope["own"])
        seen.append((await websocket.receive())["code"])
        seen.append(websocket.client_state)

    app = plain_app()
    app.router.routes.append(WebSocketRoute("/live", endpoint))
    scope = {"type": "websocket", "path": "/live", "headers": [], "own": 7, "query_string": b""}
    await app(scope, receive, send)  # type: ignore[arg-type]
    both = (WebSocketState.CONNECTED, WebSocketState.CONNECTED)
    assert seen == ["websocket.accept", both, 7, 1005, WebSocketState.DISCONNECTED]


def test_fastapi_telemetry_has_these_options() -> None:
    """For `Tracing.telemetry` in `observability/tracing`."""
    assert Tracing().telemetry.keys() <= TelemetryConfig.__annotations__.keys()
