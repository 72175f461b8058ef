"""asyncio tasks that always end when they are cancelled.

On Python 3.11 an `asyncio.TaskGroup` that is ending because of an error swallows a cancellation
that comes meanwhile, and the loop around it goes on. Nothing here does.
"""

import asyncio
from collections.abc import Collection, Coroutine
from typing import Any

# Seconds. Longer than what a task needs to end in an orderly way; after that its cancellation is
# taken for lost, and repeated.
AGAIN_SECONDS = 3.0

Work = Coroutine[Any, Any, Any]


async def run_together(*works: Work) -> None:
    """Run all until the first one ends, then cancel the others and wait for them.

    Raises what that first one raised. A cancellation of the caller always wins.
    """
    await _run(works, asyncio.FIRST_COMPLETED)


async def run_all(*works: Work) -> None:
    """Run all until each has ended. The first error cancels the others, and is raised.

    A cancellation of the caller always wins.
    """
    await _run(works, asyncio.FIRST_EXCEPTION)


async def end_all(tasks: Collection["asyncio.Future[Any]"]) -> None:
    """Cancel tasks and return when each has ended. Errors that they end with are dropped.

    A cancellation of the caller is raised when they have ended, not before.
    """
    cancelled = False
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        try:
            await asyncio.wait(pending, timeout=AGAIN_SECONDS)
        except asyncio.CancelledError:
            cancelled = True
        pending = {task for task in pending if not task.done()}
    for task in tasks:
        if not task.cancelled():
            task.exception()  # else asyncio would log it as never retrieved
    if cancelled:
        raise asyncio.CancelledError


class TaskPool:
    """Tasks that come and go while one work runs; they end with it."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def start(self, work: Work, name: str | None = None) -> "asyncio.Task[Any]":
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def run(self, work: Work) -> None:
        """Run `work`, which starts the tasks. The first error, its own or a task's, is raised."""
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
            self._failed.exception()  # it is no error if the work has ended already


async def _run(works: Collection[Work], until: str) -> None:
    tasks = [asyncio.create_task(work) for work in works]
    if not tasks:
        return
    try:
        done, _ = await asyncio.wait(tasks, return_when=until)
    finally:
        await end_all(tasks)
    for task in sorted(done, key=tasks.index):
        if not task.cancelled() and (error := task.exception()):
            raise error
