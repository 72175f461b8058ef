"""Makes paho-mqtt wait by `poll()`.

It uses `select()`, which fails for descriptors from 1,024 on. A server with that many connections
could not connect to its broker.
"""

import select
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import paho.mqtt.client as paho


def use_poll() -> None:
    """Patch paho in this process, if the system has `poll()`."""
    if hasattr(select, "poll"):
        # The only name that paho uses of that module.
        paho.select = SimpleNamespace(select=wait)  # type: ignore[assignment,attr-defined]


def wait(
    read: Sequence[Any], write: Sequence[Any], _: Sequence[Any], seconds: float
) -> tuple[list[Any], list[Any], list[Any]]:
    """Work like `select.select`. Raises ValueError if a socket is closed."""
    poll = select.poll()
    requested: dict[int, int] = {}
    for sockets, event in ((read, select.POLLIN), (write, select.POLLOUT)):
        for each in sockets:
            number = each.fileno()
            requested[number] = requested.get(number, 0) | event
    for number, events in requested.items():
        poll.register(number, events)
    found = dict(poll.poll(max(0, seconds) * 1000))
    # The next read or write raises the error of a socket.
    readable = [each for each in read if found.get(each.fileno(), 0) & ~select.POLLOUT]
    writable = [each for each in write if found.get(each.fileno(), 0) & ~select.POLLIN]
    return readable, writable, []
