"""What HTTP, server-sent events and WebSocket have in common: who asks, and the answer."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from graphql import ExecutionResult, OperationType

from domain.access import Caller
from domain.errors import Unavailable
from domain.tokens import TokenKind
from resolvers.authentication import authenticate
from resolvers.desk import Desk
from schema.context import Context
from schema.execution import Engine, Operation, Request
from server.graphql.asked import bearer
from server.graphql.connections import Connections
from server.keeper import DatabaseKeeper
from server.settings import Environment, Settings

PEOPLE = frozenset({TokenKind.ADMIN, TokenKind.VIEWER})


class Service:
    def __init__(
        self, engine: Engine, keeper: DatabaseKeeper, connections: Connections, settings: Settings
    ) -> None:
        self.settings = settings
        self.connections = connections
        self._engine = engine
        self._keeper = keeper

    async def caller(self, authorization: str | None, address: str | None) -> Caller:
        """Raises Unauthenticated, or Unavailable."""
        caller = await authenticate(self._desk(), bearer(authorization))
        return replace(caller, address=address)

    def prepare(self, request: Request, caller: Caller) -> Operation:
        """Raises BadDocument or Forbidden."""
        return self._engine.prepare(request, may_introspect=self._may_introspect(caller))

    async def run(self, operation: Operation, caller: Caller) -> ExecutionResult:
        """A query or mutation. Raises BadDocument, TimedOut or Unavailable."""
        return await self._engine.run(operation, Context(self._desk(), caller))

    async def results(
        self, operation: Operation, caller: Caller
    ) -> AsyncGenerator[ExecutionResult]:
        """Of any operation. Raises what `run` does, and CutOff."""
        if operation.type is not OperationType.SUBSCRIPTION:
            yield await self.run(operation, caller)
            return
        with self.connections.subscription(caller):
            context = Context(self._desk(), caller)
            async with aclosing(self._engine.follow(operation, context)) as results:
                async for result in results:
                    yield result

    def _desk(self) -> Desk:
        if self._keeper.desk is None:
            raise Unavailable("The database is not available; try again soon.")
        return self._keeper.desk

    def _may_introspect(self, caller: Caller) -> bool:
        return caller.kind in PEOPLE or self.settings.env is Environment.DEVELOPMENT
