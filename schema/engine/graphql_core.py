"""Names of graphql-core's executor and rules that the engine uses, documented or not.

No other file of the engine uses undocumented ones. tests/contracts/graphql/test_graphql_core.py
asserts the behaviour that is relied on.
"""

import inspect
from collections.abc import AsyncGenerator
from typing import Any

from graphql import (
    ExecutionResult,
    Executor,
    GraphQLError,
    create_source_event_stream,
    execute_root_selection_set,
    execute_subscription_event,
)
from graphql.validation.rules import overlapping_fields_can_be_merged

from schema.compiler.strawberry_internals import ExecutionContext


class OperationExecutor(ExecutionContext):
    """The executor of one operation that is not compiled."""

    def build_per_event_executor(self, payload: Any) -> Executor[Any]:
        """Give each event's executor a new cache.

        graphql-core keys its cache by lists that every event creates anew, so a shared one would
        grow with each event of a subscription.
        """
        executor = super().build_per_event_executor(payload)
        executor._relevant_sub_fields = {}  # noqa: SLF001
        return executor


async def execute(executor: Executor[Any]) -> ExecutionResult:
    """Execute a query or mutation."""
    result = execute_root_selection_set(executor)
    return await result if inspect.isawaitable(result) else result


def execute_sync(executor: Executor[Any]) -> ExecutionResult:
    """Execute a query of the schema, which needs no event loop."""
    result = execute_root_selection_set(executor)
    assert isinstance(result, ExecutionResult)  # noqa: S101
    return result


async def source_of(executor: Executor[Any]) -> AsyncGenerator[Any] | ExecutionResult:
    """The events of a subscription, or a result with errors."""
    source = create_source_event_stream(executor)
    if inspect.isawaitable(source):
        source = await source
    # All subscriptions of the schema are async generators.
    assert isinstance(source, (AsyncGenerator, ExecutionResult))  # noqa: S101
    return source


async def execute_event(executor: Executor[Any], event: Any) -> ExecutionResult:
    result = execute_subscription_event(executor.build_per_event_executor(event))
    return await result if inspect.isawaitable(result) else result


def limit_comparisons(units: int) -> None:
    """Limit the comparisons of fields in a document, in this process, in units of graphql-core."""
    overlapping_fields_can_be_merged.MAX_COMPLEXITY_BUDGET = units


def is_over_limit(error: GraphQLError) -> bool:
    """Whether it is an error of graphql-core's own limits, recognized by its message."""
    return error.message.endswith("aborted.")
