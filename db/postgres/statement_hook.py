"""Notifies tracing of statements that do not go through SQLAlchemy."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

Around = Callable[[str], AbstractContextManager[None]]

NOTHING: AbstractContextManager[None] = nullcontext()
_hook: Around | None = None


def around(statement: str) -> AbstractContextManager[None]:
    """Enter this while the statement runs."""
    return NOTHING if _hook is None else _hook(statement)


@contextmanager
def installed(hook: Around) -> Iterator[None]:
    """Call `hook` for each statement of the process."""
    global _hook  # noqa: PLW0603
    previous, _hook = _hook, hook
    try:
        yield
    finally:
        _hook = previous
