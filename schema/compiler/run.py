"""An operation that runs compiled, and how graphql-core takes over."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from graphql import VariableValues

from schema.compiler.strawberry_internals import info_of

gather = asyncio.gather


class FallBack(Exception):
    """graphql-core has to tell what happened."""


class Run:
    """One execution. `event`: what a subscription tells of. `roots`: the values of root fields that
    were resolved, or the exceptions.
    """

    __slots__ = ("context", "event", "roots", "variables")

    # Of a field: with the context, and nothing else that strawberry's own has.
    info = info_of

    def __init__(self, context: Any, variables: VariableValues, event: Any = None) -> None:
        self.context = context
        self.variables = variables
        self.event = event
        self.roots: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Root:
    """A root field: how its value is got and completed, and whether either has to be awaited.

    `of_caller`: it has nothing to wait for where the caller's own device was read.
    """

    key: str
    value: Callable[[None, Run], Any]
    awaited: bool
    complete: Callable[[Any, Run], Any]
    completed: bool
    of_caller: bool = False


class Compiled:
    """`text`: the Python that it is made of. `plain_variables`: it needs no more of variables than
    their values.
    """

    def __init__(
        self, roots: Sequence[Root], *, serial: bool, text: str, plain_variables: bool
    ) -> None:
        self._roots = roots
        self._one_by_one = serial or len(roots) == 1
        self.of_caller = all(root.of_caller and not root.completed for root in roots)
        self.text = text
        self.plain_variables = plain_variables

    def try_sync(self, run: Run) -> dict[str, Any] | None:
        """The answer's `data`, of a query `of_caller` whose own device was read; None where it goes
        another way than that on which all goes well.
        """
        try:
            return {
                root.key: root.complete(_ended(root.value(None, run)), run) for root in self._roots
            }
        except Exception:  # noqa: BLE001  it is met again on the other way
            return None

    async def __call__(self, run: Run) -> dict[str, Any]:
        """The answer's `data`. Raises Astray."""
        if self._one_by_one:
            return {
                root.key: await _completed(root, await _value(root, run), run)
                for root in self._roots
            }
        # Each notes its value, and the others are waited for whatever becomes of one.
        await gather(*(_value(root, run) for root in self._roots), return_exceptions=True)
        if len(run.roots) < len(self._roots) or any(
            isinstance(value, Exception) for value in run.roots.values()
        ):
            raise FallBack
        done = [_completed(root, run.roots[root.key], run) for root in self._roots]
        return dict(zip([root.key for root in self._roots], await gather(*done), strict=True))


def _ended(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """What it returns; raises FallBack where it waits."""
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
        return await done if root.completed else done
    except Exception as error:
        raise FallBack from error


def replay(run: Run) -> Callable[..., Any]:
    """A middleware for graphql-core that takes the values of root fields from a run that went
    astray, as far as it got.
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
    """For a null where something else would have to be awaited."""


def missing() -> NoReturn:
    raise TypeError("There must be no null here.")


def listed(value: Any) -> Sequence[Any]:
    """Other iterables than these are for graphql-core."""
    if value.__class__ is list or value.__class__ is tuple:
        return value
    raise TypeError("This is no list.")


BUILT_IN: dict[str, Callable[..., Any] | Callable[..., Awaitable[Any]]] = {
    "absent": absent,
    "gather": gather,
    "listed": listed,
    "missing": missing,
}
