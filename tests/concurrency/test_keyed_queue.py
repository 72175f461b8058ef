"""KeyedQueue: calls of one key run in order, different keys in parallel; `end` cancels all."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from concurrency.keyed_queue import MAX_PENDING, KeyedQueue


class Calls:
    """Calls for a queue. `log`: when each began and ended."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.release = asyncio.Event()

    def call(self, name: str) -> Callable[[], Awaitable[None]]:
        async def call() -> None:
            self.log.append(f"{name} began")
            try:
                await self.release.wait()
            finally:
                self.log.append(f"{name} ended")

        return call


async def test_calls_of_one_key_run_in_order() -> None:
    queue, calls = KeyedQueue(), Calls()
    tasks = [queue.add("a", calls.call(name)) for name in ("one", "two")]
    other = queue.add("b", calls.call("other"))
    await asyncio.sleep(0)
    assert calls.log == ["one began", "other began"]
    calls.release.set()
    await asyncio.wait([*tasks, other])
    assert calls.log.index("one ended") < calls.log.index("two began")


async def test_failed_call_does_not_block_next() -> None:
    queue, calls = KeyedQueue(), Calls()
    calls.release.set()

    async def fails() -> None:
        raise ValueError("failed")

    failed = queue.add("a", fails)
    await queue.add("a", calls.call("next"))
    with pytest.raises(ValueError, match="failed"):
        await failed
    assert calls.log == ["next began", "next ended"]


async def test_calls_above_max_pending_are_dropped() -> None:
    queue, calls = KeyedQueue(), Calls()
    tasks = [queue.add("a", calls.call(str(n))) for n in range(MAX_PENDING + 5)]
    assert len(set(tasks)) == MAX_PENDING
    calls.release.set()
    await asyncio.wait(tasks)
    assert len(calls.log) == 2 * MAX_PENDING
    await queue.add("a", calls.call("later"))
    assert calls.log[-1] == "later ended"


async def test_end_cancels_all_calls_of_a_key() -> None:
    queue, calls = KeyedQueue(), Calls()
    tasks = [queue.add("a", calls.call(name)) for name in ("one", "two", "three")]
    await asyncio.sleep(0)
    await queue.end()
    assert all(task.cancelled() for task in tasks)
    assert calls.log == ["one began", "one ended"]
