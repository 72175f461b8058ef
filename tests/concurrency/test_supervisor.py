"""Supervisor: an ended background task is restarted and reported; cancellation ends every task."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from concurrency.supervisor import Background, Supervisor
from concurrency.tasks import end_all
from domain.errors import Unavailable
from tests.support.waiting import WAIT_SECONDS, until


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("concurrency.supervisor.FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr("concurrency.supervisor.STEADY_SECONDS", 0.05)


@asynccontextmanager
async def supervised(*tasks: Background) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(lambda error: isinstance(error, Unavailable))
    running = asyncio.create_task(supervisor.run(*tasks))
    try:
        yield supervisor
        async with asyncio.timeout(WAIT_SECONDS):
            await end_all([running])
        assert running.cancelled()
    finally:
        running.cancel()


def failures(supervisor: Supervisor) -> int:
    """Number of failures of the first task."""
    return next((failed for _, __, failed in supervisor.counts()), 0)


class Flaky:
    """A task that ends in each of the given ways in turn, and then keeps running."""

    def __init__(self, *ends: Callable[[], Awaitable[None]]) -> None:
        self._ends = list(ends)

    async def run(self) -> None:
        if self._ends:
            await self._ends.pop(0)()
        else:
            await asyncio.Event().wait()


async def raises() -> None:
    raise ValueError("a bug")


async def fails_transiently() -> None:
    raise Unavailable("the database is unavailable")


async def returns() -> None:
    pass


async def cancels_itself() -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


@pytest.mark.parametrize("end", [raises, fails_transiently, returns, cancels_itself])
async def test_ended_task_is_restarted_and_logged(
    end: Callable[[], Awaitable[None]], caplog: pytest.LogCaptureFixture
) -> None:
    async with supervised(Background("flaky", Flaky(end, end).run)) as supervisor:
        await until(lambda: "flaky" in supervisor.not_running)
        await until(lambda: not supervisor.not_running)
        assert [*supervisor.counts()] == [("flaky", True, 2)]
    lines = [record for record in caplog.records if "flaky" in record.getMessage()]
    assert len(lines) == 2
    # A bug is logged with a traceback, a transient error without.
    assert all(bool(line.exc_info) == (end in (raises, cancels_itself)) for line in lines)


async def test_repeatedly_failing_task_counts_as_not_running() -> None:
    async with supervised(Background("broken", raises)) as supervisor:
        await until(lambda: failures(supervisor) > 3)
        for _ in range(20):
            assert supervisor.not_running == ["broken"]
            await asyncio.sleep(0.005)


async def test_failing_optional_task_is_counted_but_not_reported_as_not_running() -> None:
    flaky = Background("optional", raises, needed=False)
    async with supervised(flaky, Background("steady", Flaky().run)) as supervisor:
        await until(lambda: failures(supervisor) > 1)
        assert supervisor.not_running == []


async def test_expected_tasks_count_as_not_running_before_they_are_started() -> None:
    supervisor = Supervisor(lambda _: False)
    supervisor.expect("later")
    assert supervisor.not_running == ["later"]


async def test_supervisor_ends_tasks_that_swallow_cancellation_or_fail_in_cleanup() -> None:
    async def fails_in_cleanup() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("the connection is lost")

    async def swallows_cancellation() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return

    works = (fails_in_cleanup, swallows_cancellation)
    async with supervised(*(Background(work.__name__, work) for work in works)) as supervisor:
        await until(lambda: not supervisor.not_running)
