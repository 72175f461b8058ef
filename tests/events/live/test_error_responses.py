"""Close codes, error messages and stream endings of each error."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from domain.errors import (
    ErrorCode,
    Forbidden,
    InputError,
    Overloaded,
    RateLimited,
    SlowConsumer,
    TimedOut,
    Unauthenticated,
    Unavailable,
)
from resolvers.devices import queries as device_queries
from server.settings import Settings
from tests.conftest import ADMIN, changed
from tests.events.live.serving import Instance, Socket, dial, instance, streamed

UNAVAILABLE = "The database is not available: try again soon."
QUERY = '{ device(id: "x") { id } }'


async def initialised(one: Instance, token: str) -> Socket:
    """Open a socket and send its token, without reading the response."""
    socket = Socket(await dial(one.url))
    payload = {"Authorization": f"Bearer {token}"}
    await socket.send({"type": "connection_init", "payload": payload})
    return socket


async def test_close_code_of_rejected_connection(settings: Settings) -> None:
    async with instance(changed(settings, max_connections_per_token=1)) as one:
        unknown = await initialised(one, "rca_unknown")
        assert await unknown.closing() == (4401, "This token is unknown.")
        async with await Socket.open(one.url, ADMIN):
            code, reason = await (await initialised(one, ADMIN)).closing()
            assert (code, "1 connections" in reason) == (4429, True)
        database_supervisor = one.app.state.database_supervisor
        services, database_supervisor.services = database_supervisor.services, None
        assert await (await initialised(one, ADMIN)).closing() == (1013, UNAVAILABLE)
        database_supervisor.services = services


# Errors that end a subscription: the close code of the WebSocket (None: an `error` message), the
# error code, and whether a stream of server-sent events ends with `complete`.
ENDINGS: list[tuple[Exception, int | None, str, bool]] = [
    (SlowConsumer("x"), 4413, "CUT_OFF", False),
    (Unavailable("x"), 1013, "DATABASE_UNAVAILABLE", False),
    (Overloaded("x"), 1013, "DATABASE_UNAVAILABLE", False),
    (RateLimited("x", 7), None, "RATE_LIMITED", False),
    (TimedOut("x"), None, "TIMED_OUT", True),
    (Forbidden("x"), None, "FORBIDDEN", True),
    (Unauthenticated("x"), None, "UNAUTHENTICATED", True),
    (InputError.at("id", "x", ErrorCode.NOT_FOUND), None, "NOT_FOUND", True),
    (ZeroDivisionError("x"), None, "INTERNAL", True),
]


async def test_close_code_and_stream_end_of_subscription_error(
    one: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    raising: list[Exception] = []

    async def fails(*_: Any) -> AsyncIterator[None]:
        raise raising[-1]
        yield

    monkeypatch.setattr(
        one.app.state.database_supervisor.services.feeds.changes, "subscribe", fails
    )
    for error, close_code, code, complete in ENDINGS:
        raising.append(error)
        async with await Socket.open(one.url, ADMIN) as socket:
            await socket.subscribe()
            if close_code is None:
                assert [each["extensions"]["code"] for each in await socket.errors()] == [code]
            else:
                reason = UNAVAILABLE if close_code == 1013 else "x"
                assert await socket.closing() == (close_code, reason)
        async with streamed(one.url, ADMIN) as stream:
            name, data = await stream.event()
            assert (name, data["errors"][0]["extensions"]["code"]) == ("next", code)
            assert await stream.event() == ("complete" if complete else "end", None), error


async def test_query_error_keeps_the_connection(
    one: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    raising: list[Exception] = []

    async def fails(*_: Any) -> None:
        raise raising[-1]

    monkeypatch.setattr(device_queries, "device", fails)
    async with await Socket.open(one.url, ADMIN) as socket:
        for error, code in (
            (Unavailable("x"), "DATABASE_UNAVAILABLE"),
            (Overloaded("x"), "OVERLOADED"),
            (RateLimited("x", 7), "RATE_LIMITED"),
            (Unauthenticated("x"), "UNAUTHENTICATED"),
            (ZeroDivisionError("x"), "INTERNAL"),
        ):
            raising.append(error)
            await socket.subscribe("q", QUERY)
            message = await socket.message()
            assert message["type"] == "next"
            assert message["payload"]["errors"][0]["extensions"]["code"] == code
            assert await socket.message() == {"id": "q", "type": "complete"}
            async with streamed(one.url, ADMIN, QUERY) as stream:
                _, data = await stream.event()
                assert data["errors"][0]["extensions"]["code"] == code
                assert await stream.event() == ("complete", None)


async def test_rejected_query_keeps_the_connection(settings: Settings) -> None:
    production = changed(settings, env="production", trusted_only="devices")
    async with instance(production) as one:
        device = (await one.api.register(ADMIN))["token"]
        key = await one.api.key()
        for token, query, code in (
            (key, QUERY, "TRUSTED_DOCUMENTS_ONLY"),
            (device, "{ __schema { __typename } }", "TRUSTED_DOCUMENTS_ONLY"),
            (ADMIN, "{ nothing }", "BAD_DOCUMENT"),
            (ADMIN, "{ a" * 20 + "}" * 20, "OVER_LIMIT"),
        ):
            async with await Socket.open(one.url, token) as socket:
                await socket.subscribe("q", query)
                assert (await socket.errors())[0]["extensions"]["code"] == code
                await socket.send({"type": "ping"})
                assert await socket.message() == {"type": "pong"}
    async with instance(changed(settings, env="production")) as one:
        key = await one.api.key()
        async with await Socket.open(one.url, key) as socket:
            await socket.subscribe("q", "{ __schema { __typename } }")
            assert (await socket.errors())[0]["extensions"]["code"] == "INTROSPECTION_DISABLED"
