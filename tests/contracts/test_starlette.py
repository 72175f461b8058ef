"""What `server/` relies on in Starlette and FastAPI, beside their documented names."""

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


class Everything:
    """An ASGI application, as `RestEndpoint`."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse(scope["method"] + str(scope["path_params"]))(scope, receive, send)

    async def one(self, request: Request) -> Response:
        return PlainTextResponse(f"{request.state.log} {request.scope['state']}")


def plain_app() -> FastAPI:
    return FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)


async def asked(app: Any, method: str, path: str) -> httpx.Response:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        return await client.request(method, path)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PROPFIND"])
async def test_a_route_to_an_application_has_all_methods(method: str) -> None:
    """`add_rest` in `rest/endpoint` appends such routes; the endpoint knows its own methods."""
    app = plain_app()
    app.router.routes.append(Route("/a/{id}", Everything()))
    assert (await asked(app, method, "/a/5")).text == method + "{'id': '5'}"


async def test_the_first_route_that_matches_counts() -> None:
    """`add_rest` sorts them by that."""
    app = plain_app()
    app.router.routes.append(Route("/a/b", Everything()))
    app.router.routes.append(Route("/a/{id}", Everything()))
    assert (await asked(app, "GET", "/a/b")).text == "GET{}"
    assert (await asked(app, "GET", "/a/b/")).status_code == 404


async def test_a_method_as_an_endpoint_has_its_methods() -> None:
    """`create_app` adds `endpoint.__call__`: a function of a request, unlike the object."""
    app = plain_app()
    app.add_route("/one", Everything().one, methods=["POST"])

    async def middleware(scope: Any, receive: Any, send: Any) -> None:
        scope.setdefault("state", {})["log"] = {"a": 1}
        await app(scope, receive, send)

    assert (await asked(middleware, "GET", "/one")).status_code == 405
    assert (await asked(middleware, "POST", "/one")).text == "{'a': 1} {'log': {'a': 1}}"


async def test_a_client_that_is_gone() -> None:
    """`RequestIds` in `access_log` takes this error for no bug."""

    async def receive() -> Any:
        await asyncio.sleep(0)
        return {"type": "http.disconnect"}

    with pytest.raises(ClientDisconnect):
        await Request({"type": "http", "headers": []}, receive).body()


async def test_the_states_of_a_websocket() -> None:
    """`Session` in `graphql/websocket` asks both before it sends and closes."""
    seen: list[Any] = []
    came = iter(
        [{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1005}],
    )

    async def receive() -> Any:
        return next(came)

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


def test_what_fastapi_may_be_told_of_traces() -> None:
    """`Tracing.telemetry` in `observability/tracing`: FastAPI has no other names for them."""
    assert Tracing().telemetry.keys() <= TelemetryConfig.__annotations__.keys()
