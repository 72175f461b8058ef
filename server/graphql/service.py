"""What HTTP, server-sent events and WebSocket have in common: who asks, and the answer."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from graphql import ExecutionResult, OperationType
from starlette.requests import Request as HTTPRequest
from starlette.responses import PlainTextResponse, Response

from domain.access.caller import ANONYMOUS, Caller
from domain.access.tokens import TokenKind
from domain.devices.device import DeviceView
from domain.errors import (
    CutOff,
    Forbidden,
    Interrupted,
    RollcallError,
    Unauthenticated,
    Unavailable,
)
from resolvers.access.authenticate import Presented, identify, present, recognized
from resolvers.services import Desk
from schema.context import Context
from schema.engine.documents import BadDocument
from schema.engine.execution import Engine, Operation, Request
from server.graphql.connections import Connections
from server.graphql.outcomes import error_label, outcome_label
from server.http.body import bearer
from server.http.errors import RESPONSES
from server.observability.metrics import Metrics
from server.observability.tracing import Tracing
from server.runtime.database import DatabaseKeeper
from server.settings import Environment, Settings, TrustedOnly

PEOPLE = frozenset({TokenKind.ADMIN, TokenKind.VIEWER})


@dataclass(frozen=True, slots=True)
class Observers:
    metrics: Metrics
    tracing: Tracing


class Service:
    def __init__(
        self,
        engine: Engine,
        keeper: DatabaseKeeper,
        connections: Connections,
        observers: Observers,
        settings: Settings,
    ) -> None:
        self.settings = settings
        self.connections = connections
        self._engine = engine
        self._keeper = keeper
        self._metrics = observers.metrics
        self._tracing = observers.tracing

    async def caller(self, authorization: str | None, address: str | None) -> Caller:
        """Raises Unauthenticated, or Unavailable."""
        return (await self.identify(authorization, address))[0]

    async def identify(
        self, authorization: str | None, address: str | None
    ) -> tuple[Caller, DeviceView | None]:
        """As `caller`, with the device whose token it is."""
        return await identify(self.desk(), self.present(authorization), address)

    def present(self, authorization: str | None) -> Presented:
        """The token of an Authorization header. Raises Unauthenticated for another scheme,
        Unavailable.
        """
        return present(self.desk(), bearer(authorization))

    def prepare(self, request: Request, caller: Caller) -> Operation:
        """Raises BadDocument or Forbidden."""
        started = perf_counter()
        only_trusted = self._takes_no_documents(caller)
        persists = caller.kind in PEOPLE and not only_trusted
        try:
            return self._engine.prepare(
                request,
                may_introspect=self._is_let_in(caller),
                only_trusted=only_trusted,
                sender=caller.token_id if persists else None,
            )
        except (BadDocument, Forbidden):
            self._metrics.graphql("none", "refused", perf_counter() - started)
            raise

    def recognized(
        self, presented: Presented, address: str | None
    ) -> tuple[Caller, DeviceView | None] | None:
        """As `identify`, once the token is found; None where something has to be noted of it."""
        return recognized(self.desk(), presented, address)

    def at_once(
        self, operation: Operation, caller: Caller, own: DeviceView | None
    ) -> dict[str, Any] | None:
        """The `data` of what has nothing to wait for; None, and nothing is executed, for all else.

        Raises TooMany or Unavailable.
        """
        started = perf_counter()
        self.connections.begin_operation(caller)
        try:
            data = self._engine.at_once(operation, Context(self.desk(), caller, own))
        finally:
            self.connections.end_operation(caller)
        if data is not None:
            self._metrics.graphql(operation.label, "ok", perf_counter() - started)
        return data

    async def run(
        self, operation: Operation, caller: Caller, own: DeviceView | None = None
    ) -> tuple[ExecutionResult, str]:
        """A query or mutation, and what became of it in a word.

        Raises BadDocument, TimedOut, TooMany or Unavailable.
        """
        started, outcome = perf_counter(), "failed"
        context = Context(self.desk(), caller, own)
        self.connections.begin_operation(caller)
        try:
            with self._tracing.operation_span(operation.label):
                result = await self._engine.run(operation, context)
            outcome = outcome_label(result)
        except BadDocument:
            outcome = "refused"
            raise
        except RollcallError as error:
            outcome = error_label(error)
            raise
        finally:
            self.connections.end_operation(caller)
            self._metrics.graphql(operation.label, outcome, perf_counter() - started)
        return result, outcome

    async def results(
        self, operation: Operation, caller: Caller
    ) -> AsyncGenerator[ExecutionResult]:
        """Of any operation. Raises what `run` does, and CutOff."""
        if operation.type is not OperationType.SUBSCRIPTION:
            yield (await self.run(operation, caller))[0]
            return
        with self.connections.subscription(caller):
            try:
                context = Context(self.desk(), caller)
                async with aclosing(self._engine.follow(operation, context)) as results:
                    async for result in results:
                        self._metrics.events_sent()
                        yield result
            except CutOff:
                self._metrics.cut_off("slow")
                raise
            except Unavailable as error:
                raise Interrupted(str(error)) from error

    async def refuse_all_but_people(self, http: HTTPRequest) -> Response | None:
        """For pages that not everybody should see where this is a production server."""
        try:
            caller = await self.caller(http.headers.get("authorization"), None)
        except (Unauthenticated, Unavailable):
            caller = ANONYMOUS
        if self._is_let_in(caller):
            return None
        response, text = RESPONSES[Unauthenticated.code], "Send a viewer's or an admin's token.\n"
        return PlainTextResponse(text, response.status, response.headers)

    def desk(self) -> Desk:
        """Raises Unavailable."""
        if self._keeper.desk is None:
            raise Unavailable("The database is not available; try again soon.")
        return self._keeper.desk

    def _takes_no_documents(self, caller: Caller) -> bool:
        match self.settings.trusted_only:
            case TrustedOnly.NOBODY:
                return False
            case TrustedOnly.DEVICES:
                return caller.kind in (TokenKind.DEVICE, TokenKind.ENROL)
            case TrustedOnly.EVERYONE:
                return True

    def _is_let_in(self, caller: Caller) -> bool:
        return caller.kind in PEOPLE or self.settings.env is Environment.DEVELOPMENT
