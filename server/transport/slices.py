"""Handles received data in slices, so that other connections get their turn in between.

A single read may bring 256 KB, which can be thousands of small requests or frames.
"""

import asyncio
from collections.abc import Callable
from typing import Any


class GatedTransport:
    """Stands for the transport of a connection while received data is not handled yet.

    Reading stays paused until then. `paused`: whether the protocol itself has paused reading.
    `resumed` is called if the protocol resumes it while data is left.
    """

    def __init__(self, transport: asyncio.Transport, resumed: Callable[[], None]) -> None:
        self._transport = transport
        self._resumed = resumed
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
        if isinstance(transport, GatedTransport):
            transport = transport.ungated
        self.transport: Any = GatedTransport(transport, self._schedule)
        self._handle = handle
        self._size = size
        self._unread = bytearray()
        self._scheduled = False

    def received(self, data: bytes) -> None:
        if not self._unread and len(data) <= self._size:
            self._handle(data)
            return
        self._unread += data
        self.transport.hold()
        self._schedule()

    def take_all(self) -> bytes:
        """Return what is left, for the protocol that takes over the connection."""
        data = bytes(self._unread)
        self._unread.clear()
        return data

    def _schedule(self) -> None:
        if self._unread and not self._scheduled and not self.transport.paused:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._handle_next)

    def _handle_next(self) -> None:
        self._scheduled = False
        if self.transport.is_closing():
            self._unread.clear()
        if not self._unread or self.transport.paused:
            return
        data = bytes(self._unread[: self._size])
        del self._unread[: self._size]
        self._handle(data)
        if self._unread:
            self._schedule()
        elif not self.transport.is_closing():
            self.transport.release()
