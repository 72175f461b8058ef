"""What the engine uses of graphql-core's executor and rules beside its documented names.

No other file does, and tests/contracts/test_graphql_core.py asserts what is relied on.
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
    """Of one operation that is not compiled."""

    def build_per_event_executor(self, payload: Any) -> Executor[Any]:
        """With a cache of its own: graphql-core's is keyed by lists that each event makes anew, and
        would grow with every event of a subscription.
        """
        executor = super().build_per_event_executor(payload)
        executor._relevant_sub_fields = {}  # noqa: SLF001
        return executor


async def execute(executor: Executor[Any]) -> ExecutionResult:
    """A query or mutation."""
    result = execute_root_selection_set(executor)
    return await result if inspect.isawaitable(result) else result


async def source_of(executor: Executor[Any]) -> AsyncGenerator[Any] | ExecutionResult:
    """The events of a subscription, or why there are none."""
    source = create_source_event_stream(executor)
    if inspect.isawaitable(source):
        source = await source
    # It is, since our subscriptions are.
    assert isinstance(source, (AsyncGenerator, ExecutionResult))  # noqa: S101
    return source


async def execute_event(executor: Executor[Any], event: Any) -> ExecutionResult:
    result = execute_subscription_event(executor.build_per_event_executor(event))
    return await result if inspect.isawaitable(result) else result


def limit_comparisons(units: int) -> None:
    """In this process: what comparing the fields of a document may take, by graphql-core's own
    meter.
    """
    overlapping_fields_can_be_merged.MAX_COMPLEXITY_BUDGET = units


def is_over_limit(error: GraphQLError) -> bool:
    """Of a limit of graphql-core's own, which says no more than that it aborted."""
    return error.message.endswith("aborted.")
