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
from domain.devices.device import DeviceRecord
from domain.errors import (
    Forbidden,
    Interrupted,
    RollcallError,
    SlowConsumer,
    Unauthenticated,
    Unavailable,
)
from resolvers.access.authenticate import Credential, identify, look_up, resolve_if_confirmed
from resolvers.services import Services
from schema.context import Context
from schema.engine.documents import BadDocument
from schema.engine.execution import Engine, Operation, Request
from server.graphql.connections import Connections
from server.graphql.outcomes import error_label, outcome_label
from server.http.body import bearer
from server.http.errors import RESPONSES
from server.observability.metrics import Metrics
from server.observability.tracing import Tracing
from server.runtime.database import DatabaseSupervisor
from server.settings import Environment, Settings, TrustedOnly

PEOPLE = frozenset({TokenKind.ADMIN, TokenKind.VIEWER})


@dataclass(frozen=True, slots=True)
class Observers:
    metrics: Metrics
    tracing: Tracing


class GraphQLService:
    def __init__(
        self,
        engine: Engine,
        database_supervisor: DatabaseSupervisor,
        connections: Connections,
        observers: Observers,
        settings: Settings,
    ) -> None:
        self.settings = settings
        self.connections = connections
        self._engine = engine
        self._database_supervisor = database_supervisor
        self._metrics = observers.metrics
        self._tracing = observers.tracing

    async def caller(self, authorization: str | None, address: str | None) -> Caller:
        """Raises Unauthenticated, or Unavailable."""
        return (await self.identify(authorization, address))[0]

    async def identify(
        self, authorization: str | None, address: str | None
    ) -> tuple[Caller, DeviceRecord | None]:
        """As `caller`, with the device whose token it is."""
        return await identify(self.services(), self.look_up(authorization), address)

    def look_up(self, authorization: str | None) -> Credential:
        """The token of an Authorization header. Raises Unauthenticated for another scheme,
        Unavailable.
        """
        return look_up(self.services(), bearer(authorization))

    def prepare(self, request: Request, caller: Caller) -> Operation:
        """Raises BadDocument or Forbidden."""
        started = perf_counter()
        only_trusted = self._takes_no_documents(caller)
        persists = caller.kind in PEOPLE and not only_trusted
        try:
            return self._engine.prepare(
                request,
                may_introspect=self._may_introspect(caller),
                only_trusted=only_trusted,
                sender=caller.token_id if persists else None,
            )
        except (BadDocument, Forbidden):
            self._metrics.graphql("none", "refused", perf_counter() - started)
            raise

    def resolve_if_confirmed(
        self, credential: Credential, address: str | None
    ) -> tuple[Caller, DeviceRecord | None] | None:
        """As `identify`, once the token is found; None where something has to be noted of it."""
        return resolve_if_confirmed(self.services(), credential, address)

    def try_sync(
        self, operation: Operation, caller: Caller, own: DeviceRecord | None
    ) -> dict[str, Any] | None:
        """The `data` of what has nothing to wait for; None, and nothing is executed, for all else.

        Raises RateLimited or Unavailable.
        """
        started = perf_counter()
        self.connections.begin_operation(caller)
        try:
            data = self._engine.try_sync(operation, Context(self.services(), caller, own))
        finally:
            self.connections.end_operation(caller)
        if data is not None:
            self._metrics.graphql(operation.label, "ok", perf_counter() - started)
        return data

    async def run(
        self, operation: Operation, caller: Caller, own: DeviceRecord | None = None
    ) -> tuple[ExecutionResult, str]:
        """A query or mutation, and what became of it in a word.

        Raises BadDocument, TimedOut, RateLimited or Unavailable.
        """
        started, outcome = perf_counter(), "failed"
        context = Context(self.services(), caller, own)
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
        """Of any operation. Raises what `run` does, and SlowConsumer."""
        if operation.type is not OperationType.SUBSCRIPTION:
            yield (await self.run(operation, caller))[0]
            return
        with self.connections.subscription(caller):
            try:
                context = Context(self.services(), caller)
                async with aclosing(self._engine.follow(operation, context)) as results:
                    async for result in results:
                        self._metrics.events_sent()
                        yield result
            except SlowConsumer:
                self._metrics.cut_off("slow")
                raise
            except Unavailable as error:
                raise Interrupted(str(error)) from error

    async def require_operator(self, http: HTTPRequest) -> Response | None:
        """For pages that not everybody should see where this is a production server."""
        try:
            caller = await self.caller(http.headers.get("authorization"), None)
        except (Unauthenticated, Unavailable):
            caller = ANONYMOUS
        if self._may_introspect(caller):
            return None
        response, text = RESPONSES[Unauthenticated.code], "Send a viewer's or an admin's token.\n"
        return PlainTextResponse(text, response.status, response.headers)

    def services(self) -> Services:
        """Raises Unavailable."""
        if self._database_supervisor.services is None:
            raise Unavailable("The database is not available; try again soon.")
        return self._database_supervisor.services

    def _takes_no_documents(self, caller: Caller) -> bool:
        match self.settings.trusted_only:
            case TrustedOnly.NOBODY:
                return False
            case TrustedOnly.DEVICES:
                return caller.kind in (TokenKind.DEVICE, TokenKind.ENROL)
            case TrustedOnly.EVERYONE:
                return True

    def _may_introspect(self, caller: Caller) -> bool:
        return caller.kind in PEOPLE or self.settings.env is Environment.DEVELOPMENT
