"""Handles received data in slices, so that other connections get their turn in between.

A single read may bring 256 KB, which can be thousands of small requests or frames.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from concurrency.connection_guard import GuardedConnection


class TooMuch(Exception):
    """All connections together are receiving too much."""


class GatedTransport:
    """Stands for the transport of a connection while received data is not handled yet.

    Reading stays paused until then. `paused`: whether the protocol itself has paused reading.
    `resumed` is called if the protocol resumes it while data is left. `guarded`: the counted
    connection, None if connections are not limited.
    """

    def __init__(self, transport: asyncio.Transport, resumed: Callable[[], None]) -> None:
        self._transport = transport
        self._resumed = resumed
        self.guarded: GuardedConnection | None = None
        self._held = False
        self.paused = False
        # Used for each response, so not by way of `__getattr__`.
        self.write = transport.write
        self.is_closing = transport.is_closing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    @property
    def ungated(self) -> asyncio.Transport:
        return self._transport

    def pause_reading(self) -> None:
        self.paused = True
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self.paused = False
        if self._held:
            self._resumed()
        else:
            self._transport.resume_reading()

    def hold(self) -> None:
        """Read no more until `release`."""
        self._held = True
        self._transport.pause_reading()

    def release(self) -> None:
        self._held = False
        if not self.paused:
            self._transport.resume_reading()


class Slices:
    """The received data of one connection that was not handled yet.

    `handle` gets the next slice, or data that is not larger. It is not called while the protocol
    has paused reading.
    """

    def __init__(
        self, transport: asyncio.Transport, handle: Callable[[bytes], None], size: int
    ) -> None:
        """`size`: bytes of a slice."""
        before: Any = transport
        is_gated = isinstance(before, GatedTransport)
        self._gate = GatedTransport(before.ungated if is_gated else transport, self._schedule)
        self._gate.guarded = before.guarded if is_gated else None
        self._handle = handle
        self._slice_size = size
        self._unread = bytearray()
        self._scheduled = False

    @property
    def transport(self) -> Any:
        """For the protocol, in the place of its own transport."""
        return self._gate

    @property
    def guarded(self) -> GuardedConnection | None:
        return self._gate.guarded

    def guard(self, guarded: GuardedConnection | None) -> None:
        self._gate.guarded = guarded

    def received(self, data: bytes) -> None:
        """Raises TooMuch if all connections together are receiving too much."""
        guarded = self._gate.guarded
        if guarded and not guarded.receive(len(data)):
            raise TooMuch
        if not self._unread and len(data) <= self._slice_size:
            self._handle(data)
            return
        self._unread += data
        self._gate.hold()
        self._schedule()

    @property
    def size(self) -> int:
        """Bytes that are not handled yet."""
        return len(self._unread)

    def take_all(self) -> bytes:
        """Return what is left, for the protocol that takes over the connection."""
        data = bytes(self._unread)
        self._unread.clear()
        return data

    def _schedule(self) -> None:
        if self._unread and not self._scheduled and not self._gate.paused:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._handle_next)

    def _handle_next(self) -> None:
        self._scheduled = False
        if self._gate.is_closing():
            self._unread.clear()
        if not self._unread or self._gate.paused:
            return
        data = bytes(self._unread[: self._slice_size])
        del self._unread[: self._slice_size]
        self._handle(data)
        if self._unread:
            self._schedule()
        elif not self._gate.is_closing():
            self._gate.release()
