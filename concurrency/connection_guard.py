"""Limits of what clients can make a process hold: connections, and data that is being received."""

import gc
from collections import Counter

# Bytes of one connection that are always allowed: most whole messages have less.
FREE_BYTES = 16_384
# Bytes of all connections together beyond that.
RECEIVE_BYTES = 33_554_432
# Closed connections leave cycles of objects with what they received. Python collects them by the
# number of objects, not by their size.
COLLECT_BYTES = 16_777_216


class ConnectionGuard:
    """Counts the connections of one process.

    `total`: limit for all. `per_address`: limit for those of one address that are not
    authenticated.
    """

    def __init__(self, total: int, per_address: int) -> None:
        self._total = total
        self._per_address = per_address
        self._open = 0
        self._strangers: Counter[str] = Counter()
        self._received = 0
        self._closed = 0
        self._closed_bytes = 0
        self._refused = 0

    def open(self, address: str | None) -> "GuardedConnection | None":
        """Return None if a limit is reached. `address` None: only the total is limited."""
        full = self._open >= self._total
        if full or (address is not None and self._strangers[address] >= self._per_address):
            self._refused += 1
            return None
        return GuardedConnection(self, address)

    def count(self, connections: int) -> None:
        self._open += connections

    def count_stranger(self, address: str, connections: int) -> None:
        self._strangers[address] += connections
        if not self._strangers[address]:
            del self._strangers[address]

    def receive(self, size: int) -> bool:
        """Count bytes that one connection holds beyond FREE_BYTES. False: over the limit."""
        self._received += size
        allowed = self._received <= RECEIVE_BYTES
        self._refused += not allowed
        return allowed

    def release(self, size: int) -> None:
        """One connection holds fewer bytes beyond FREE_BYTES."""
        self._received -= size

    def closed(self, held: int) -> None:
        """A connection with so many received bytes was closed."""
        self._closed += 1
        self._closed_bytes += held
        if self._closed_bytes > COLLECT_BYTES:
            self._closed_bytes = 0
            gc.collect(1)

    def take_refused(self) -> int:
        """Return how many were refused since the last call."""
        refused, self._refused = self._refused, 0
        return refused

    def take_closed(self) -> int:
        """Return how many were closed since the last call."""
        closed, self._closed = self._closed, 0
        return closed


class GuardedConnection:
    """One open connection. `held`: bytes that were received and not handled yet."""

    __slots__ = ("_address", "_guard", "_open", "held")

    def __init__(self, guard: ConnectionGuard, address: str | None) -> None:
        self._guard = guard
        self._address = address
        self._open = True
        self.held = 0
        guard.count(1)
        if address is not None:
            guard.count_stranger(address, 1)

    def authenticated(self) -> None:
        """Count it no longer for its address."""
        if self._address is not None:
            self._guard.count_stranger(self._address, -1)
            self._address = None

    def receive(self, size: int) -> bool:
        """Count received bytes. False: too many are being received; close the connection."""
        before, self.held = self.held, self.held + size
        if self.held <= FREE_BYTES:
            return True
        return self._guard.receive(self.held - max(before, FREE_BYTES))

    def keep(self, size: int) -> None:
        """The connection holds `size` bytes now; the others were handled."""
        if self.held > FREE_BYTES:
            self._guard.release(self.held - max(size, FREE_BYTES))
        self.held = size

    def close(self) -> None:
        if self._open:
            self._open = False
            self.authenticated()
            held = self.held
            self.keep(0)
            self._guard.count(-1)
            self._guard.closed(held)
