"""Waits for a condition. The limit only ends tests that would wait for ever.

For time limits that a test checks, see tests/support/timing.py.
"""

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any

# Seconds. Longer than any operation takes, even on a busy machine.
WAIT_SECONDS = 240


async def until(condition: Callable[[], Any], seconds: float = WAIT_SECONDS) -> Any:
    """Wait until the condition, or its awaited result, is true. Return that value."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < deadline, _timeout_message(condition, seconds)
        await asyncio.sleep(0.01)


def wait_for(condition: Callable[[], Any], seconds: float = WAIT_SECONDS) -> None:
    """Wait until the condition is true, without an event loop."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, _timeout_message(condition, seconds)
        time.sleep(0.02)


def _timeout_message(condition: Callable[[], Any], seconds: float) -> str:
    try:
        source = " ".join(inspect.getsource(condition).split())
    except (OSError, TypeError):
        source = repr(condition)
    return f"not within {seconds} s: {source}"
