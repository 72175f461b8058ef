"""Runs a compiled operation, and passes its root values to graphql-core on a fallback."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from graphql import VariableValues

from schema.compiler.strawberry_internals import info_of

gather = asyncio.gather


class FallBack(Exception):
    """The compiled run ended; graphql-core executes the operation and formats the errors."""


class Run:
    """One execution. `event`: of a subscription. `roots`: values of the root fields that were
    resolved, or their exceptions.
    """

    __slots__ = ("context", "event", "roots", "variables")

    # strawberry's `Info` of a field, with the context only.
    info = info_of

    def __init__(self, context: Any, variables: VariableValues, event: Any = None) -> None:
        self.context = context
        self.variables = variables
        self.event = event
        self.roots: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Root:
    """A root field: `value` resolves it, `complete` turns its value into a result.

    `awaited`, `complete_awaited`: their results are coroutines. `caller_only`: the field does not
    wait for anything if the caller's device record is available.
    """

    key: str
    value: Callable[[None, Run], Any]
    awaited: bool
    complete: Callable[[Any, Run], Any]
    complete_awaited: bool
    caller_only: bool = False


class Compiled:
    """`text`: its Python source. `plain_variables`: it needs only the coerced values of variables.

    `caller_only`: with the caller's device record, it runs without waiting.
    """

    def __init__(
        self, roots: Sequence[Root], *, serial: bool, text: str, plain_variables: bool
    ) -> None:
        self._roots = roots
        self._serial = serial or len(roots) == 1
        self.caller_only = all(root.caller_only and not root.complete_awaited for root in roots)
        self.text = text
        self.plain_variables = plain_variables

    def try_sync(self, run: Run) -> dict[str, Any] | None:
        """Return the result's `data` without waiting; None if it fails or has to wait.

        Requires `caller_only` and the caller's device record.
        """
        try:
            return {
                root.key: root.complete(_run_sync(root.value(None, run)), run)
                for root in self._roots
            }
        except Exception:  # noqa: BLE001  the usual path meets and reports it
            return None

    async def __call__(self, run: Run) -> dict[str, Any]:
        """Return the result's `data`. Raises FallBack if graphql-core has to execute it."""
        if self._serial:
            return {
                root.key: await _completed(root, await _value(root, run), run)
                for root in self._roots
            }
        # Wait for all, even if one fails: each stores its value in `run.roots`.
        await gather(*(_value(root, run) for root in self._roots), return_exceptions=True)
        if len(run.roots) < len(self._roots) or any(
            isinstance(value, Exception) for value in run.roots.values()
        ):
            raise FallBack
        done = [_completed(root, run.roots[root.key], run) for root in self._roots]
        return dict(zip([root.key for root in self._roots], await gather(*done), strict=True))


def _run_sync(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Return the coroutine's result. Raises FallBack if it waits."""
    try:
        coroutine.send(None)
    except StopIteration as ended:
        return ended.value
    coroutine.close()
    raise FallBack


async def _value(root: Root, run: Run) -> Any:
    try:
        value = root.value(None, run)
        if root.awaited:
            value = await value
    except Exception as error:
        run.roots[root.key] = error
        raise FallBack from error
    run.roots[root.key] = value
    return value


async def _completed(root: Root, value: Any, run: Run) -> Any:
    try:
        done = root.complete(value, run)
        return await done if root.complete_awaited else done
    except Exception as error:
        raise FallBack from error


def replay(run: Run) -> Callable[..., Any]:
    """Return a graphql-core middleware that reuses the root values that the run resolved before it
    fell back.
    """

    def resolve(next_: Callable[..., Any], source: Any, info: Any, **arguments: Any) -> Any:
        if info.path.prev is not None or info.path.key not in run.roots:
            return next_(source, info, **arguments)
        value = run.roots[info.path.key]
        if isinstance(value, Exception):
            raise value
        return value

    return resolve


async def absent() -> None:
    """Awaitable null, for an expression whose value is awaited."""


def missing() -> NoReturn:
    raise TypeError("The value is null.")


def listed(value: Any) -> Sequence[Any]:
    """Return a list or tuple unchanged. Raises TypeError for other values, to fall back."""
    if value.__class__ is list or value.__class__ is tuple:
        return value
    raise TypeError("The value is not a list.")


BUILT_IN: dict[str, Callable[..., Any] | Callable[..., Awaitable[Any]]] = {
    "absent": absent,
    "gather": gather,
    "listed": listed,
    "missing": missing,
}
