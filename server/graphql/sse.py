"""GraphQL over server-sent events: the distinct connections mode of graphql-sse."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from concurrency.tasks import end_all
from domain.access.caller import Caller
from domain.errors import Interrupted, RateLimited, SlowConsumer
from schema.engine.operation import Operation
from server.graphql.connections import TOKEN_ENDED, CloseReason
from server.graphql.responses import encode_json, encode_result, failure_body, format_exception
from server.graphql.service import GraphQLService

# Seconds. A comment so often prevents proxies from closing an idle stream.
HEARTBEAT_SECONDS = 12
CLOSE_SECONDS = 2
COMPLETE = b"event: complete\ndata:\n\n"
HEARTBEAT = b":\n\n"
HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}


class EventStream(Response):
    """`next` events, then `complete`. Without `complete` the client should reconnect."""

    media_type = "text/event-stream; charset=utf-8"

    def __init__(self, service: GraphQLService, operation: Operation, caller: Caller) -> None:
        super().__init__(headers=HEADERS)
        del self.headers["content-length"]
        self._service = service
        self._operation = operation
        self._caller = caller

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        with self._service.connections.open(self._caller, "sse") as connection:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            sending = asyncio.create_task(self._send_all(send))
            disconnected = asyncio.create_task(_wait_for_disconnect(receive))
            try:
                waiting: set[asyncio.Future[Any]] = {sending, disconnected, connection.ended}
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                completed = disconnected.done() or sending.done()
                ended = connection.ended.done() and not completed
            finally:
                await end_all([sending, disconnected])
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    if ended:
                        await send(_chunk(_last_events(connection.ended.result())))
                    await send(_chunk(b"", more=False))

    async def _send_all(self, send: Send) -> None:
        async with aclosing(self._events()) as events:
            iterator = aiter(events)
            upcoming = asyncio.ensure_future(anext(iterator, None))
            try:
                while True:
                    await asyncio.wait({upcoming}, timeout=HEARTBEAT_SECONDS)
                    if not upcoming.done():
                        await send(_chunk(HEARTBEAT))
                        continue
                    event = upcoming.result()
                    if event is None:
                        return
                    await send(_chunk(event))
                    upcoming = asyncio.ensure_future(anext(iterator, None))
            finally:
                await end_all([upcoming])

    async def _events(self) -> AsyncGenerator[bytes]:
        max_errors = self._service.settings.limits.errors
        try:
            async with aclosing(self._service.results(self._operation, self._caller)) as results:
                async for result in results:
                    yield _next(encode_result(result, max_errors, self._operation))
        except (SlowConsumer, Interrupted, RateLimited) as error:
            yield _next(encode_json({"errors": [format_exception(error)]}))
            return
        except Exception as error:  # noqa: BLE001  the client gets it, whatever it is
            yield _next(encode_json({"errors": [format_exception(error)]}))
        yield COMPLETE


def _last_events(close_reason: CloseReason) -> bytes:
    error = _next(encode_json(failure_body(close_reason.reason, close_reason.error)))
    return error + COMPLETE if close_reason is TOKEN_ENDED else error


def _next(data: bytes) -> bytes:
    return b"event: next\ndata: %b\n\n" % data


def _chunk(body: bytes, *, more: bool = True) -> dict[str, object]:
    return {"type": "http.response.body", "body": body, "more_body": more}


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
