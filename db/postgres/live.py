"""The open connections of a process. They can be ended without an answer of the server."""

import weakref
from typing import Any, Protocol, cast

from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine

from db.postgres.connect import Driver


class DedicatedConnection(Protocol):
    """A connection outside of the pools."""

    def close_idle(self) -> bool:
        """End the connection if it is idle. Returns True if there was one."""


class LiveConnections:
    def __init__(self) -> None:
        self._all: weakref.WeakSet[Driver] = weakref.WeakSet()
        self._pooled: weakref.WeakSet[Driver] = weakref.WeakSet()
        self._dedicated: weakref.WeakSet[DedicatedConnection] = weakref.WeakSet()

    @property
    def count(self) -> int:
        return sum(not driver.is_closed() for driver in self._all)

    def add(self, driver: Driver) -> Driver:
        self._all.add(driver)
        return driver

    def add_dedicated(self, connection: DedicatedConnection) -> None:
        self._dedicated.add(connection)

    def track(self, engine: AsyncEngine) -> None:
        """Track which connections of a pool are idle, and replace those that are closed."""
        event.listen(engine.sync_engine, "checkout", self._checked_out)
        event.listen(engine.sync_engine, "checkin", self._checked_in)

    def end_all(self) -> None:
        """End all connections. Running statements raise an error at once."""
        for driver in list(self._pooled):
            driver.terminate()
        for driver in list(self._all):
            driver.drop()
        self._all.clear()
        self._pooled.clear()

    def close_idle(self) -> bool:
        """End idle connections, to make room for another one. Returns True if there were any."""
        idle = [driver for driver in self._pooled if not driver.is_closed()]
        for driver in idle:
            driver.terminate()
        self._pooled.clear()
        closed = [connection.close_idle() for connection in list(self._dedicated)]
        return bool(idle) or any(closed)

    def _checked_out(self, connection: DBAPIConnection, *_: object) -> None:
        driver = _driver(connection)
        self._pooled.discard(driver)
        if driver.is_closed():
            raise DisconnectionError

    def _checked_in(self, connection: DBAPIConnection | None, *_: object) -> None:
        if connection is not None:
            self._pooled.add(_driver(connection))


def _driver(connection: DBAPIConnection) -> Driver:
    driver = cast("Any", connection).driver_connection
    assert isinstance(driver, Driver)  # noqa: S101
    return driver
