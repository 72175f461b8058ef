"""Which traced requests a batch serves."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from concurrency.batcher import Batcher, batch_requests


@pytest.fixture
def request_names(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The current request is the last name."""
    names: list[str] = []
    monkeypatch.setattr(Batcher, "current_request", lambda: names[-1])
    return names


async def test_batch_serves_requests_that_asked_before_it_was_taken(
    request_names: list[str],
) -> None:
    served: list[tuple[list[str], list[str]]] = []

    async def fetch(keys: Sequence[str]) -> Mapping[str, str]:
        served.append((list(keys), list(batch_requests.get())))
        await asyncio.sleep(0)
        return {key: key for key in keys}

    batcher = Batcher(2 * [fetch], max_batch=1)

    def ask(name: str, key: str) -> "asyncio.Future[str | None]":
        request_names.append(name)
        return batcher.get(key)

    first = ask("first", "a")
    # Runs after the first batch was taken, and before its task has begun.
    later: list[asyncio.Future[str | None]] = []
    asyncio.get_running_loop().call_soon(lambda: later.append(ask("second", "a")))
    await first
    await later[0]
    await ask("third", "b")
    assert served == [(["a"], ["first"]), (["a"], ["second"]), (["b"], ["third"])]
