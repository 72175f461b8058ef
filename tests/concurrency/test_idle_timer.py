"""Idle timeouts of many keys."""

import asyncio
import socket
import time

import uvloop

from concurrency.idle_timer import IdleTimer

SECONDS = 0.2


def run(*, blocked: bool, answered: bool) -> list[str]:
    """Start a key, and stop it by data that arrives in time. Return the expired keys."""
    expired: list[str] = []

    async def measure() -> None:
        loop, timer = asyncio.get_running_loop(), IdleTimer(SECONDS, expired.append)
        ours, theirs = socket.socketpair()
        blocking, signal = socket.socketpair()

        def block() -> None:
            """Data arrives while another connection's data is handled."""
            blocking.recv(9)
            if answered:
                theirs.send(b"x")
            time.sleep(2 * SECONDS)

        with ours, theirs, blocking, signal:
            loop.add_reader(ours, lambda: (ours.recv(9), timer.stop("key")))
            loop.add_reader(blocking, block)
            timer.start("key", loop)
            if blocked:
                signal.send(b"x")
            await asyncio.sleep(3 * SECONDS)
            loop.remove_reader(ours)
            loop.remove_reader(blocking)

    uvloop.run(measure())
    return expired


def test_data_that_arrived_while_loop_was_blocked_counts() -> None:
    assert run(blocked=True, answered=True) == []


def test_idle_key_expires_also_after_loop_was_blocked() -> None:
    assert run(blocked=True, answered=False) == ["key"]
    assert run(blocked=False, answered=False) == ["key"]
