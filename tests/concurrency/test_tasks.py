"""Task helpers: a cancellation is never lost, also if a task fails at the same moment."""

import asyncio
import gc
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from itertools import product
from typing import Any

import pytest

from concurrency.tasks import TaskPool, end_all, run_all, run_together
from tests.support.waiting import WAIT_SECONDS

STEPS = 12

Work = Coroutine[Any, Any, None]


class Failure(Exception):
    """The error of a child task."""


async def fails_after(steps: int) -> None:
    for _ in range(steps):
        await asyncio.sleep(0)
    raise Failure


async def lasts(cleanup_steps: int) -> None:
    """Run until cancelled, then take some more steps."""
    try:
        await asyncio.Event().wait()
    finally:
        for _ in range(cleanup_steps):
            await asyncio.sleep(0)


async def fails_when_cancelled() -> None:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        raise Failure from None


async def pooled(*works: Work) -> None:
    pool = TaskPool()

    async def start() -> None:
        for work in works:
            pool.start(work)
        await asyncio.Event().wait()

    await pool.run(start())


RUNNERS: list[Callable[..., Awaitable[None]]] = [run_together, run_all, pooled]


@pytest.mark.parametrize("run", RUNNERS)
async def test_cancellation_is_not_lost_at_any_step(
    run: Callable[..., Awaitable[None]],
) -> None:
    """Cancel at each step of a child's failure and of the cleanup of the others."""
    for fails, cancelled in product(range(STEPS), repeat=2):

        async def repeat(steps: int = fails) -> None:
            while True:
                with suppress(Failure):
                    await run(fails_after(steps), lasts(3), lasts(0), fails_when_cancelled())

        task = asyncio.create_task(repeat())
        for _ in range(cancelled):
            await asyncio.sleep(0)
        task.cancel()
        _, pending = await asyncio.wait({task}, timeout=WAIT_SECONDS)
        assert not pending, (fails, cancelled)
        assert task.cancelled(), (fails, cancelled)


@pytest.mark.parametrize("run", RUNNERS)
async def test_later_errors_are_not_logged(
    run: Callable[..., Awaitable[None]], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(Failure):
        await run(fails_after(1), fails_when_cancelled(), fails_after(1))
    gc.collect()
    assert not caplog.records


@pytest.mark.parametrize("run", RUNNERS)
async def test_first_error_is_raised_after_all_tasks_ended(
    run: Callable[..., Awaitable[None]],
) -> None:
    ended = []

    async def records_its_end() -> None:
        try:
            await lasts(3)
        finally:
            ended.append(True)

    with pytest.raises(Failure):
        await run(records_its_end(), fails_after(2), records_its_end())
    assert ended == [True, True]


async def test_run_together_ends_with_first_and_run_all_with_last_task() -> None:
    async def counts(steps: int) -> None:
        for _ in range(steps):
            await asyncio.sleep(0)
        done.append(steps)

    done: list[int] = []
    await run_together(counts(2), counts(50))
    assert done == [2]
    await run_all(counts(2), counts(50))
    assert done == [2, 2, 50]


async def test_end_all_cancels_again_after_lost_cancellation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("concurrency.tasks.RECANCEL_SECONDS", 0.01)
    lost = 0

    async def loses_three() -> None:
        nonlocal lost
        while lost < 3:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                lost += 1

    task = asyncio.create_task(loses_three())
    await asyncio.sleep(0)
    async with asyncio.timeout(WAIT_SECONDS):
        await end_all([task])
    assert lost == 3


async def test_cancelled_end_all_still_waits_for_task() -> None:
    ended = asyncio.Event()

    async def slow() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await ended.wait()

    child = asyncio.create_task(slow())
    await asyncio.sleep(0)
    caller = asyncio.create_task(end_all([child]))
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.sleep(0)
    assert not caller.done()
    ended.set()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert child.done()
