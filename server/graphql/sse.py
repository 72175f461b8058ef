"""GraphQL over server-sent events, in the distinct connections mode of graphql-sse."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from concurrency.tasks import end_all
from domain.access.caller import Caller
from domain.errors import Interrupted, RateLimited, SlowConsumer
from schema.engine.execution import Operation
from server.graphql.connections import TOKEN_ENDED, CloseReason
from server.graphql.responses import encode_json, failure_body, format_exception, result_body
from server.graphql.service import GraphQLService

# A comment now and then keeps proxies from closing a quiet stream.
HEARTBEAT_SECONDS = 12
CLOSE_SECONDS = 2
COMPLETE = b"event: complete\ndata:\n\n"
HEARTBEAT = b":\n\n"
HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}


class EventStream(Response):
    """`next` events and then `complete`; without `complete` the client should come back."""

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
            gone = asyncio.create_task(_disconnected(receive))
            try:
                waiting: set[asyncio.Future[Any]] = {sending, gone, connection.ended}
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                ended = connection.ended.done() and not (gone.done() or sending.done())
            finally:
                await end_all([sending, gone])
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    if ended:
                        await send(_chunk(_last_words(connection.ended.result())))
                    await send(_chunk(b"", more=False))

    async def _send_all(self, send: Send) -> None:
        async with aclosing(self._events()) as events:
            following = aiter(events)
            upcoming = asyncio.ensure_future(anext(following, None))
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
                    upcoming = asyncio.ensure_future(anext(following, None))
            finally:
                await end_all([upcoming])

    async def _events(self) -> AsyncGenerator[bytes]:
        most = self._service.settings.limits.errors
        try:
            async with aclosing(self._service.results(self._operation, self._caller)) as results:
                async for result in results:
                    yield _next(encode_json(result_body(result, most)))
        except (SlowConsumer, Interrupted, RateLimited) as error:
            yield _next(encode_json({"errors": [format_exception(error)]}))
            return
        except Exception as error:  # noqa: BLE001  whatever it is, the client is told
            yield _next(encode_json({"errors": [format_exception(error)]}))
        yield COMPLETE


def _last_words(close_reason: CloseReason) -> bytes:
    told = _next(encode_json(failure_body(close_reason.reason, close_reason.error)))
    return told + COMPLETE if close_reason is TOKEN_ENDED else told


def _next(data: bytes) -> bytes:
    return b"event: next\ndata: %b\n\n" % data


def _chunk(body: bytes, *, more: bool = True) -> dict[str, object]:
    return {"type": "http.response.body", "body": body, "more_body": more}


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
