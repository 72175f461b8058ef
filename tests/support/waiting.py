"""Waiting for what must come. A limit ends only a test that would wait for ever.

How fast something is, is another question: see tests/support/timing.py.
"""

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any

# Seconds. Far more than anything takes, also where other programs use the machine.
WAIT_SECONDS = 90


async def until(condition: Callable[[], Any], seconds: float = WAIT_SECONDS) -> Any:
    """What the condition, or what it is awaited for, gives once that is true."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < deadline, in_vain(condition, seconds)
        await asyncio.sleep(0.01)


def wait_for(condition: Callable[[], Any], seconds: float = WAIT_SECONDS) -> None:
    """The same where there is no event loop."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, in_vain(condition, seconds)
        time.sleep(0.02)


def in_vain(condition: Callable[[], Any], seconds: float) -> str:
    try:
        source = " ".join(inspect.getsource(condition).split())
    except (OSError, TypeError):
        source = repr(condition)
    return f"not within {seconds} s: {source}"
