"""Engines for tests, and operations prepared by them."""

from typing import Any

from schema.build import Schema
from schema.compiler import Compiled, Compiler, Unsupported
from schema.engine.execution import Engine
from schema.engine.limits import Limits
from schema.engine.operation import DocumentRights, Operation, Request

ANYTHING = DocumentRights("test", may_introspect=True)


class NotCompiling(Compiler):
    """Leaves every operation to graphql-core."""

    def compile(self, *_: Any) -> Compiled:
        raise Unsupported


def reference(schema: Schema, limits: Limits) -> Engine:
    """An engine that executes all operations with graphql-core."""
    return Engine(schema, limits, seconds=60, compiler=NotCompiling(schema))


async def prepare(engine: Engine, request: Request) -> Operation:
    return await engine.prepare(request, ANYTHING)


def compiled(operation: Operation) -> Compiled | None:
    """Return a compiled form of an executed operation."""
    return next(iter(operation.plan._compiled.values()), None)
