"""paho-mqtt waits by `select()`, which refuses descriptors from 1,024 on: a server with that many
connections could not reach its broker any more. Here it is made to wait by `poll()`.
"""

import select
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import paho.mqtt.client as paho


def use_poll() -> None:
    """In this process, where the system has it."""
    if hasattr(select, "poll"):
        # The only name that paho uses of that module.
        paho.select = SimpleNamespace(select=wait)  # type: ignore[assignment,attr-defined]


def wait(
    read: Sequence[Any], write: Sequence[Any], _: Sequence[Any], seconds: float
) -> tuple[list[Any], list[Any], list[Any]]:
    """As `select.select`. Raises ValueError if one is closed."""
    poll = select.poll()
    wanted: dict[int, int] = {}
    for sockets, event in ((read, select.POLLIN), (write, select.POLLOUT)):
        for each in sockets:
            number = each.fileno()
            wanted[number] = wanted.get(number, 0) | event
    for number, events in wanted.items():
        poll.register(number, events)
    found = dict(poll.poll(max(0, seconds) * 1000))
    # Errors are told by the next call that reads or writes.
    readable = [each for each in read if found.get(each.fileno(), 0) & ~select.POLLOUT]
    writable = [each for each in write if found.get(each.fileno(), 0) & ~select.POLLIN]
    return readable, writable, []
