"""Executes requests with the resolvers of the strawberry schema."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import replace
from functools import partial
from typing import Any

import orjson
from graphql import (
    ExecutionResult,
    Executor,
    GraphQLError,
    VariableValues,
    get_variable_values,
)

from concurrency.worker_thread import WorkerThread
from domain.errors import IntrospectionDisabled, TimedOut, TrustedDocumentsOnly
from schema.build import Schema
from schema.compiler import Compiled, Compiler, FallBack, Run, replay
from schema.compiler.strawberry_internals import core_schema
from schema.context import Context
from schema.engine.deadlines import Deadlines
from schema.engine.documents import BadDocument, Document, Documents
from schema.engine.graphql_core import (
    OperationExecutor,
    execute,
    execute_event,
    execute_sync,
    source_of,
)
from schema.engine.limits import Limits, OverLimit, check_variables
from schema.engine.operation import DocumentRights, Operation, Request
from schema.engine.persisted_queries import PersistedQueries, not_found, not_supported
from schema.engine.plan import Plan
from schema.engine.trusted_documents import id_of_hash

NO_VARIABLES = VariableValues({}, {})
# Kept results; tools send the same document each time.
MAX_INTROSPECTIONS = 4


class Engine:
    """Prepares and executes operations. `seconds`: limit for a query or mutation."""

    def __init__(
        self,
        schema: Schema,
        limits: Limits,
        seconds: float,
        trusted: Mapping[str, str] | None = None,
        compiler: Compiler | None = None,
    ) -> None:
        """`trusted`: texts by id. Raises BadTrustedDocument if one is invalid."""
        self.schema = core_schema(schema)
        self._limits = limits
        self._deadlines = Deadlines(seconds)
        self._documents = Documents(
            self.schema, compiler or Compiler(schema), limits, trusted or {}
        )
        self._persisted = PersistedQueries()
        self._worker = WorkerThread("documents")
        self._introspections: dict[Plan, ExecutionResult] = {}

    @property
    def trusted(self) -> Mapping[str, Document]:
        """Trusted documents by id."""
        return self._documents.trusted_by_id

    def read_trusted(self, texts: Mapping[str, str]) -> Mapping[str, Document]:
        """Check other trusted documents. Safe in another thread. Raises BadTrustedDocument."""
        return self._documents.read_trusted(texts)

    def replace_trusted(self, documents: Mapping[str, Document]) -> None:
        """Use other trusted documents from now on. Prepared operations keep theirs."""
        self._documents.trusted_by_id = documents

    async def prepare(self, request: Request, rights: DocumentRights) -> Operation:
        """Raises BadDocument if the request can't be executed, IntrospectionDisabled,
        TrustedDocumentsOnly or Unauthenticated if it is not allowed, Overloaded.
        """
        request = self._with_text(request, rights)
        document = self._find(request, rights)
        if document is None:
            read = partial(self._documents.read, request.query, suggest=rights.may_introspect)
            document = await self._worker.run(rights.sender, read)
            self._documents.cache(request.query, document)
        return self._operation(request, document, rights)

    def prepare_known(self, request: Request, rights: DocumentRights) -> Operation | None:
        """As `prepare`, without waiting. None if the document has to be read first."""
        request = self._with_text(request, rights)
        document = self._find(request, rights)
        return self._operation(request, document, rights) if document else None

    def _with_text(self, request: Request, rights: DocumentRights) -> Request:
        if request.sha256 and not request.query:
            return self._resolve_hash(request.sha256, request, rights)
        return request

    def _find(self, request: Request, rights: DocumentRights) -> Document | None:
        if request.document is not None:
            return request.document
        if request.document_id is not None:
            return self._documents.trusted(request.document_id)
        if rights.only_trusted:
            raise TrustedDocumentsOnly("Send the `documentId` of a trusted document.")
        return self._documents.cached(request.query)

    def _operation(self, request: Request, document: Document, rights: DocumentRights) -> Operation:
        if document.introspects and not rights.may_introspect:
            raise IntrospectionDisabled("Send a viewer's or an admin's token to read the schema.")
        plan = document.plan(request.operation_name)
        if request.variables:
            try:
                check_variables(request.variables, self._limits)
            except GraphQLError as error:
                raise BadDocument(error) from None
        if request.document_id is None and not plan.introspects:
            self._check_cost(plan, request.variables or {})
        if request.sha256 and rights.persists and request.document_id is None:
            self._persisted.keep(request.sha256, request.query, rights.sender)
        return Operation(request, document, plan, rights.sender)

    def _resolve_hash(self, sha256: str, request: Request, rights: DocumentRights) -> Request:
        """Add the id of the trusted document with this hash, or the persisted text.

        Raises NotPersisted if there is neither.
        """
        trusted = id_of_hash(sha256)
        if trusted in self._documents.trusted_by_id:
            return replace(request, document_id=trusted)
        if not rights.persists:
            raise not_supported()
        text = self._persisted.get(sha256)
        if text is None:
            raise not_found()
        return replace(request, query=text)

    def _check_cost(self, plan: Plan, variables: Mapping[str, Any]) -> None:
        if plan.cost(variables) > self._limits.cost:
            raise BadDocument(
                OverLimit(
                    "too many values and rows in its result if every page is full",
                    self._limits.cost,
                )
            )

    def try_sync(self, operation: Operation, context: Context) -> dict[str, Any] | None:
        """Return the `data` of a query that needs only the caller's device record.

        Does not wait. Returns None without executing anything if this does not apply.
        """
        if context.caller_device is None:
            return None
        compiled = operation.plan.caller_only
        return compiled.try_sync(Run(context, NO_VARIABLES)) if compiled else None

    async def run(self, operation: Operation, context: Context) -> ExecutionResult:
        """Run a query or mutation. Raises BadDocument if variables are invalid, TimedOut."""
        try:
            return await self._deadlines.run(self._run(operation, context))
        except TimeoutError:
            seconds = self._deadlines.seconds
            raise TimedOut(f"This took more than {seconds:g} seconds and was stopped.") from None

    async def _run(self, operation: Operation, context: Context) -> ExecutionResult:
        """Run the compiled operation if there is one; fall back to graphql-core."""
        if operation.plan.introspects:
            return await self._introspect(operation, context)
        variables = self._variables(operation)
        compiled = await self._compiled(operation, variables)
        if compiled is None:
            return await execute(self._executor(operation, context))
        if not compiled.plain_variables:
            variables = self._checked_variables(operation)
        run = Run(context, variables)
        try:
            return ExecutionResult(await compiled(run), None)
        except FallBack:
            return await execute(self._executor(operation, context, replay(run)))

    async def _introspect(self, operation: Operation, context: Context) -> ExecutionResult:
        """Read the schema, in the thread. Results are kept: they are the same for all callers."""
        plan = operation.plan
        if plan in self._introspections:
            return self._introspections[plan]
        run = partial(execute_sync, self._executor(operation, context))
        result = await self._worker.run(operation.sender, run)
        if not operation.request.variables and not result.errors:
            if len(self._introspections) >= MAX_INTROSPECTIONS:
                self._introspections.clear()
            self._introspections[plan] = result
        return result

    async def _compiled(self, operation: Operation, variables: VariableValues) -> Compiled | None:
        """Return the compiled operation; None if graphql-core has to execute it."""
        plan = operation.plan
        conditions = plan.conditions(variables.coerced)
        if conditions is None:
            return None
        if not plan.is_compiled(conditions):
            await self._worker.run(operation.sender, plan.compile, conditions)
        return plan.compiled(conditions)

    def _variables(self, operation: Operation) -> VariableValues:
        if not operation.plan.node.variable_definitions:
            return NO_VARIABLES
        coerced = operation.plan.coerced(operation.request.variables or {})
        return (
            self._checked_variables(operation) if coerced is None else VariableValues({}, coerced)
        )

    def _checked_variables(self, operation: Operation) -> VariableValues:
        """Variables as coerced by graphql-core. Raises BadDocument if one is invalid."""
        values = get_variable_values(
            self.schema,
            operation.plan.node.variable_definitions or (),
            operation.request.variables or {},
            max_errors=self._limits.errors,
            hide_suggestions=True,
        )
        if isinstance(values, list):
            raise BadDocument(*values)
        return values

    async def subscribe(
        self, operation: Operation, context: Context
    ) -> AsyncGenerator[ExecutionResult]:
        """Yield the results of a subscription; `data` may be an orjson.Fragment with encoded JSON.

        Raises BadDocument if it can't be executed, and any exception of its source.
        """
        source, variables = await self._source(operation, context)
        async with aclosing(source) as events:
            async for event in events:
                yield await self._event_result(operation, context, variables, event)

    async def _source(
        self, operation: Operation, context: Context
    ) -> tuple[AsyncGenerator[Any], VariableValues]:
        executor = self._executor(operation, context)
        source = await source_of(executor)
        if isinstance(source, ExecutionResult):
            raise BadDocument(*source.errors or ())
        return source, executor.variable_values

    async def _event_result(
        self, operation: Operation, context: Context, variables: VariableValues, event: Any
    ) -> ExecutionResult:
        """Result of one event, shared by subscribers with the same operation and visibility."""
        cached: dict[Any, ExecutionResult] | None = getattr(event, "responses", None)
        if cached is None or not operation.plan.same_for_all:
            return await self._execute_event(operation, Run(context, variables, event))
        key = operation.plan, context.caller.visibility_key
        if (result := cached.get(key)) is not None:
            return result
        result = _encoded(await self._execute_event(operation, Run(context, variables, event)))
        if not result.errors:
            # An error may not occur again for the next subscriber.
            cached[key] = result
        return result

    async def _execute_event(self, operation: Operation, run: Run) -> ExecutionResult:
        compiled = await self._compiled(operation, run.variables)
        if compiled:
            with suppress(FallBack):
                return ExecutionResult(await compiled(run), None)
        return await execute_event(self._executor(operation, run.context), run.event)

    def _executor(
        self, operation: Operation, context: Context, *middleware: Callable[..., Any]
    ) -> Executor[Any]:
        built = OperationExecutor.build(
            self.schema,
            operation.document.ast,
            context_value=context,
            raw_variable_values=operation.request.variables,
            operation_name=operation.request.operation_name,
            max_coercion_errors=self._limits.errors,
            hide_suggestions=True,
            middleware=middleware or None,
        )
        if isinstance(built, list):
            raise BadDocument(*built)
        return built


def _encoded(result: ExecutionResult) -> ExecutionResult:
    """Encode `data` as JSON if there are no errors."""
    if result.errors:
        return result
    try:
        return ExecutionResult(orjson.Fragment(orjson.dumps(result.data)), None)  # type: ignore[arg-type]
    except TypeError:
        return result
