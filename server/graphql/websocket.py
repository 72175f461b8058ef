"""GraphQL over WebSocket: the protocol graphql-transport-ws.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
"""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Any, NoReturn
from urllib.parse import urlsplit

import orjson
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from concurrency.tasks import end_all
from concurrency.turns import Turns
from domain.access.caller import ANONYMOUS, Caller
from domain.errors import (
    AccessError,
    Interrupted,
    Overloaded,
    RateLimited,
    SlowConsumer,
    Unavailable,
)
from schema.engine.documents import BadDocument
from schema.engine.operation import Operation
from server.graphql.connections import UNAVAILABLE, CloseReason, Connection
from server.graphql.request import request_of
from server.graphql.responses import encode_json, encode_result, format_errors, format_exception
from server.graphql.service import GraphQLService
from server.graphql.websocket_messages import BAD_MESSAGE, Ended, id_of, parse_message, unknown_type
from server.http.authenticated import mark_authenticated
from server.http.body import BadRequest
from server.http.errors import close_code

PROTOCOL = "graphql-transport-ws"
# Key in an ASGI scope of a function that sends a text at once. It returns False if it can't.
WRITE = "rollcall.write"
# Seconds until `connection_init` has to arrive.
INIT_SECONDS = 10
CLOSE_SECONDS = 5
# A close frame has at most 123 bytes for the reason (RFC 6455, section 5.5).
MAX_REASON_BYTES = 120
NO_TOKEN = close_code("UNAUTHENTICATED")
TOO_MANY = close_code("RATE_LIMITED")


class WebSocketEndpoint:
    def __init__(self, service: GraphQLService) -> None:
        self.service = service

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The endpoint as an ASGI application."""
        await self(WebSocket(scope, receive, send))

    async def __call__(self, websocket: WebSocket) -> None:
        if not self._origin_allowed(websocket):
            await websocket.close()
            return
        if PROTOCOL not in websocket.scope["subprotocols"]:
            await websocket.accept()
            await websocket.close(4406, f"Speak the subprotocol {PROTOCOL}.")
            return
        await websocket.accept(PROTOCOL)
        await Session(self.service, websocket).run()

    def _origin_allowed(self, websocket: WebSocket) -> bool:
        """Browsers always send the page's origin, but no CORS preflight request for WebSockets."""
        origin = websocket.headers.get("origin")
        if origin is None:
            return True
        if origin in self.service.settings.cors_origins:
            return True
        try:
            return urlsplit(origin).netloc == websocket.headers.get("host")
        except ValueError:
            return False


class Session:
    """One WebSocket, from its `connection_init` to its end."""

    def __init__(self, service: GraphQLService, websocket: WebSocket) -> None:
        self._service = service
        self._websocket = websocket
        self._settings = service.settings
        self._write: Callable[[bytes], bool] | None = websocket.scope.get(WRITE)
        self._operations: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing: asyncio.Future[CloseReason] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Return once the WebSocket is closed and all its operations have ended."""
        try:
            caller = await self._initialise()
            with self._service.connections.open(caller, "websocket") as connection:
                await self._send({"type": "connection_ack"})
                await self._close(await self._serve(connection))
        except Ended as ended:
            await self._close(ended.close_reason)
        except RateLimited as error:
            await self._close(CloseReason.by_error(error.code, str(error)))
        except WebSocketDisconnect:
            pass

    async def _initialise(self) -> Caller:
        try:
            async with asyncio.timeout(INIT_SECONDS):
                while True:
                    message = await self._receive()
                    match message["type"]:
                        case "connection_init":
                            return await self._authenticate(message.get("payload"))
                        case "ping":
                            await self._pong(message)
                        case "pong":
                            pass
                        case "subscribe" | "complete":
                            raise Ended(NO_TOKEN, "Send connection_init first.")
                        case _:
                            raise unknown_type(message)
        except TimeoutError:
            raise Ended(4408, "Connection initialisation timeout") from None

    async def _authenticate(self, payload: Any) -> Caller:
        """By `{"Authorization": "Bearer <token>"}` in the payload, or by the HTTP header."""
        if not isinstance(payload, dict | None):
            raise Ended(BAD_MESSAGE, "The payload of connection_init must be an object.")
        given = {str(key).lower(): value for key, value in (payload or {}).items()}
        header = given.get("authorization", self._websocket.headers.get("authorization"))
        if not isinstance(header, str | None):
            raise Ended(BAD_MESSAGE, "`Authorization` must be a string.")
        client = self._websocket.client
        try:
            caller = await self._service.caller(header or None, client.host if client else None)
        except AccessError as error:
            raise Ended(NO_TOKEN, str(error)) from None
        except Unavailable:
            raise Ended(UNAVAILABLE.code, UNAVAILABLE.reason) from None
        if caller.kind is ANONYMOUS.kind:
            example = "{'Authorization': 'Bearer <token>'}"
            raise Ended(NO_TOKEN, f"Send a token: {example} as the payload.")
        mark_authenticated(self._websocket.scope, caller)
        return caller

    async def _serve(self, connection: Connection) -> CloseReason:
        """Return how to close the WebSocket, once all operations have ended.

        Raises WebSocketDisconnect if the client disconnects.
        """
        reading = asyncio.create_task(self._read(connection.caller))
        waiting: set[asyncio.Future[Any]] = {reading, connection.ended, self._closing}
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for ending in (connection.ended, self._closing):
                if ending.done():
                    return ending.result()
            return await reading
        finally:
            await end_all([reading, *self._tasks])

    async def _read(self, caller: Caller) -> NoReturn:
        turns = Turns()
        while True:
            await turns.give_way()
            message = await self._receive()
            match message["type"]:
                case "ping":
                    await self._pong(message)
                case "pong":
                    pass
                case "subscribe":
                    await self._subscribe(message, caller)
                case "complete":
                    if task := self._operations.pop(id_of(message), None):
                        task.cancel()
                case "connection_init":
                    raise Ended(TOO_MANY, "Too many initialisation requests")
                case _:
                    raise unknown_type(message)

    async def _subscribe(self, message: dict[str, Any], caller: Caller) -> None:
        """Start an operation. Refuse it here, in the reading task, if it can't be executed.

        So a client that does not read its refusals can't send more messages.
        """
        id, payload = id_of(message), message.get("payload")
        if not isinstance(payload, dict):
            raise Ended(BAD_MESSAGE, "`payload` must be an object with a `query`.")
        if id in self._operations:
            raise Ended(4409, f"Subscriber for {id[:40]} already exists")
        if len(self._tasks) >= self._settings.max_subscriptions_per_token:
            raise Ended(TOO_MANY, "Too many operations at once on this connection.")
        try:
            operation = await self._service.prepare(request_of(payload), caller)
        except BadRequest as error:
            raise Ended(BAD_MESSAGE, error.message) from None
        except (AccessError, BadDocument, Overloaded) as error:
            await self._refuse(id, error)
            return
        task = asyncio.create_task(self._execute(id, operation, caller))
        self._operations[id] = task
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._done(id, done))

    def _done(self, id: str, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._operations.get(id) is task:
            del self._operations[id]
        if not task.cancelled():
            task.exception()

    async def _execute(self, id: str, operation: Operation, caller: Caller) -> None:
        max_errors = self._settings.limits.errors
        try:
            async with aclosing(self._service.results(operation, caller)) as results:
                async for result in results:
                    payload = orjson.Fragment(encode_result(result, max_errors, operation))
                    await self._send({"id": id, "type": "next", "payload": payload})
        except SlowConsumer as error:
            self._end(CloseReason.by_error(error.code, str(error)))
        except Interrupted:
            self._end(UNAVAILABLE)
        except WebSocketDisconnect:
            pass
        except Exception as error:  # noqa: BLE001  the client gets it, whatever it is
            await self._refuse(id, error)
        else:
            self._release_id(id)
            await self._send({"id": id, "type": "complete"})

    async def _refuse(self, id: str, error: Exception) -> None:
        if isinstance(error, BadDocument):
            errors = format_errors(error.errors, self._settings.limits.errors)
        else:
            errors = [format_exception(error)]
        self._release_id(id)
        await self._send({"id": id, "type": "error", "payload": errors})

    def _release_id(self, id: str) -> None:
        """Call it before the last message: after that the client may use the id again."""
        if self._operations.get(id) is asyncio.current_task():
            del self._operations[id]

    def _end(self, close_reason: CloseReason) -> None:
        if not self._closing.done():
            self._closing.set_result(close_reason)

    async def _receive(self) -> dict[str, Any]:
        """Return the next message, an object with a `type`. Raises Ended for anything else."""
        event = await self._websocket.receive()
        if event["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(event.get("code", 1005))
        text = event.get("text")
        if text is None:
            raise Ended(BAD_MESSAGE, "Send text messages.")
        return parse_message(text, self._settings.max_body_bytes)

    async def _pong(self, ping: dict[str, Any]) -> None:
        payload = ping.get("payload")
        echo = {"payload": payload} if isinstance(payload, dict) else {}
        await self._send({"type": "pong", **echo})

    async def _send(self, message: dict[str, Any]) -> None:
        if self._websocket.application_state is not WebSocketState.CONNECTED:
            raise WebSocketDisconnect(1006)
        text = encode_json(message)
        if self._write is None or not self._write(text):
            try:
                await self._websocket.send_text(text.decode())
            except RuntimeError:
                # The protocol has closed it, such as after invalid UTF-8.
                raise WebSocketDisconnect(1006) from None

    async def _close(self, close_reason: CloseReason) -> None:
        """Send a close frame, with a timeout for a client that does not read."""
        if self._websocket.client_state is not WebSocketState.CONNECTED:
            return
        reason = close_reason.reason.encode(errors="replace")[:MAX_REASON_BYTES].decode(
            errors="ignore"
        )
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._websocket.close(close_reason.code, reason)
        except (TimeoutError, RuntimeError, WebSocketDisconnect):
            pass
