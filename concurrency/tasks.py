"""Groups of asyncio tasks that always end when they are cancelled.

In Python 3.11, an `asyncio.TaskGroup` that is ending because of an error swallows a concurrent
cancellation, so that a surrounding loop continues. The functions here always raise it.
"""

import asyncio
from collections.abc import Collection, Coroutine
from typing import Any

# Seconds. Longer than a task needs for its cleanup. After that, the cancellation counts as
# swallowed and is repeated.
RECANCEL_SECONDS = 3.0

Work = Coroutine[Any, Any, Any]


async def run_together(*coroutines: Work) -> None:
    """Run all until the first one ends, then cancel the others and wait for them.

    Raises the error of that first one, if any. A cancellation of the caller takes precedence.
    """
    await _run(coroutines, asyncio.FIRST_COMPLETED)


async def run_all(*coroutines: Work) -> None:
    """Run all until each has ended. The first error cancels the others and is raised.

    A cancellation of the caller takes precedence.
    """
    await _run(coroutines, asyncio.FIRST_EXCEPTION)


async def end_all(tasks: Collection["asyncio.Future[Any]"]) -> None:
    """Cancel tasks and wait until each has ended. Their errors are dropped.

    A cancellation of the caller is raised after they have ended, not before.
    """
    cancelled = False
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        try:
            await asyncio.wait(pending, timeout=RECANCEL_SECONDS)
        except asyncio.CancelledError:
            cancelled = True
        pending = {task for task in pending if not task.done()}
    for task in tasks:
        if not task.cancelled():
            task.exception()  # else asyncio logs it as never retrieved
    if cancelled:
        raise asyncio.CancelledError


class TaskPool:
    """Tasks that are started while one coroutine runs, and are cancelled when it ends."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def start(self, work: Work, name: str | None = None) -> "asyncio.Task[Any]":
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def run(self, work: Work) -> None:
        """Run `work`, which starts the tasks. Raises the first error, of `work` or of a task."""
        try:
            await run_together(work, self._until_failed())
        finally:
            await end_all([*self._tasks])

    async def _until_failed(self) -> None:
        await asyncio.shield(self._failed)

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error and not self._failed.done():
            self._failed.set_exception(error)
            self._failed.exception()  # marks it as retrieved: `run` may have ended already


async def _run(coroutines: Collection[Work], until: str) -> None:
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    if not tasks:
        return
    try:
        done, _ = await asyncio.wait(tasks, return_when=until)
    finally:
        await end_all(tasks)
    for task in sorted(done, key=tasks.index):
        if not task.cancelled() and (error := task.exception()):
            raise error
