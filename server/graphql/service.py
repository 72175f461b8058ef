"""Authentication and execution, shared by HTTP, server-sent events and WebSocket."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from graphql import ExecutionResult, OperationType
from starlette.requests import Request as HTTPRequest
from starlette.responses import PlainTextResponse, Response

from domain.access.caller import ANONYMOUS, Caller
from domain.access.tokens import TokenKind
from domain.devices.device import DeviceRecord
from domain.devices.enrolment import EnrolmentPolicy
from domain.errors import (
    AccessError,
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
from schema.engine.execution import Engine
from schema.engine.operation import DocumentRights, Operation, Request
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
        """Authenticate a caller. Raises Unauthenticated or Unavailable."""
        return (await self.identify(authorization, address))[0]

    async def identify(
        self, authorization: str | None, address: str | None
    ) -> tuple[Caller, DeviceRecord | None]:
        """As `caller`, with the caller's own device if the token is a device's."""
        return await identify(self.services(), self.look_up(authorization), address)

    def look_up(self, authorization: str | None) -> Credential:
        """Look up the token of an Authorization header.

        Raises Unauthenticated if the scheme is not Bearer, and Unavailable.
        """
        return look_up(self.services(), bearer(authorization))

    async def prepare(self, request: Request, caller: Caller) -> Operation:
        """Raises BadDocument, AccessError or Overloaded."""
        with self._count_refusal():
            rights = self._document_rights(request, caller)
            return await self._engine.prepare(request, rights)

    def prepare_known(self, request: Request, caller: Caller) -> Operation | None:
        """As `prepare`, without waiting. None if the document has to be read first."""
        with self._count_refusal():
            rights = self._document_rights(request, caller)
            return self._engine.prepare_known(request, rights)

    def _document_rights(self, request: Request, caller: Caller) -> DocumentRights:
        """Raises Unauthenticated if the caller needs a token to send a document.

        With `ROLLCALL_ENV=production` documents of anonymous callers are not even parsed, unless
        they may register devices.
        """
        settings, only_trusted = self.settings, self._only_trusted(caller)
        if (
            caller.kind is None
            and request.query
            and settings.env is Environment.PRODUCTION
            and settings.enrolment is not EnrolmentPolicy.OPEN
        ):
            raise Unauthenticated("This needs a token: send `Authorization: Bearer <token>`.")
        return DocumentRights(
            caller.address if caller.kind is None else caller.token_id,
            may_introspect=self._may_introspect(caller),
            only_trusted=only_trusted,
            persists=caller.kind in PEOPLE and not only_trusted,
        )

    @contextmanager
    def _count_refusal(self) -> Iterator[None]:
        started = perf_counter()
        try:
            yield
        except (BadDocument, AccessError):
            self._metrics.graphql("none", "refused", perf_counter() - started)
            raise

    def resolve_if_confirmed(
        self, credential: Credential, address: str | None
    ) -> tuple[Caller, DeviceRecord | None] | None:
        """As `identify`, once the token is found. None if its use has to be written first."""
        return resolve_if_confirmed(self.services(), credential, address)

    def try_sync(
        self, operation: Operation, caller: Caller, device: DeviceRecord | None
    ) -> dict[str, Any] | None:
        """Return the `data` of an operation that has nothing to wait for.

        For any other, return None with nothing executed. Raises RateLimited or Unavailable.
        """
        started = perf_counter()
        self.connections.begin_operation(caller)
        try:
            data = self._engine.try_sync(operation, Context(self.services(), caller, device))
        finally:
            self.connections.end_operation(caller)
        if data is not None:
            self._metrics.graphql(operation.label, "ok", perf_counter() - started)
        return data

    async def run(
        self, operation: Operation, caller: Caller, device: DeviceRecord | None = None
    ) -> tuple[ExecutionResult, str]:
        """Execute a query or mutation. Return its result and the outcome label.

        Raises BadDocument, TimedOut, RateLimited or Unavailable.
        """
        started, outcome = perf_counter(), "failed"
        context = Context(self.services(), caller, device)
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
        """Yield the results of any operation. Raises as `run`, and SlowConsumer or Interrupted."""
        if operation.type is not OperationType.SUBSCRIPTION:
            yield (await self.run(operation, caller))[0]
            return
        with self.connections.subscription(caller):
            try:
                context = Context(self.services(), caller)
                async with aclosing(self._engine.subscribe(operation, context)) as results:
                    async for result in results:
                        self._metrics.events_sent()
                        yield result
            except SlowConsumer:
                self._metrics.cut_off("slow")
                raise
            except Unavailable as error:
                raise Interrupted(str(error)) from error

    async def require_operator(self, http: HTTPRequest) -> Response | None:
        """Return a 401 response if the caller may not see the metrics, else None.

        With `ROLLCALL_ENV=production` a viewer's or admin's token is required.
        """
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

    def _only_trusted(self, caller: Caller) -> bool:
        match self.settings.trusted_only:
            case TrustedOnly.NOBODY:
                return False
            case TrustedOnly.DEVICES:
                return caller.kind in (TokenKind.DEVICE, TokenKind.ENROL)
            case TrustedOnly.EVERYONE:
                return True

    def _may_introspect(self, caller: Caller) -> bool:
        return caller.kind in PEOPLE or self.settings.env is Environment.DEVELOPMENT
