"""Connections to the first of several hosts that will do, each with its own time to answer."""

import asyncio
import random
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import asyncpg
from asyncpg.connect_utils import SessionAttribute

from db.postgres.dsn.options import BadDatabaseUrl
from db.postgres.dsn.tls import driver_url, trusting_the_system
from db.postgres.dsn.url import Host, Target, parse
from db.postgres.transient import chain

CONNECT_SECONDS = 5.0
# With several hosts, so that a frozen one costs little of the time for a failover.
CONNECT_SECONDS_EACH = 4.0
CANCEL_SECONDS = 2.0
# For a statement that a server which is there answers at once.
PROBE_SECONDS = 5
APPLICATION_NAME = "rollcall"
# A transaction that is left open, by a process that was stopped, would hold up every follower.
IDLE_IN_TRANSACTION_MS = 60_000
# PgBouncer knows no such parameter of the connection, so it is set by a statement.
SESSION = f"SET idle_in_transaction_session_timeout = {IDLE_IN_TRANSACTION_MS}"
# They are about the credentials, which the other hosts have in common.
FINAL = (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.ClientConfigurationError)

KEEPALIVES = {
    "keepalives_idle": "TCP_KEEPIDLE",
    "keepalives_interval": "TCP_KEEPINTVL",
    "keepalives_count": "TCP_KEEPCNT",
    "tcp_user_timeout": "TCP_USER_TIMEOUT",
}


if TYPE_CHECKING:
    Base = asyncpg.Connection[asyncpg.Record]
else:
    Base = asyncpg.Connection


class Driver(Base):
    """A connection whose cancelled statements end in time although the server is frozen.

    `another` opens one more, to the same server.
    """

    another: Callable[[], Awaitable["Driver"]]

    async def _cancel(self, waiter: Any, cancel_waiter: Any = None) -> None:
        """As the driver's, which waits for the server as long as for a statement."""
        async with asyncio.timeout(CANCEL_SECONDS) as limit:
            await super()._cancel(waiter, cancel_waiter)  # type: ignore[misc]
        if limit.expired():
            self.drop()

    def is_closed(self) -> bool:
        """From `drop` on, although the driver learns of it a moment later."""
        return super().is_closed() or self._transport.is_closing()  # type: ignore[attr-defined]

    def drop(self) -> None:
        """Ends it as if the server had done so: a statement that is under way raises an error of
        the driver. After `terminate`, it would find parts of the connection missing.
        """
        if not self.is_closed():
            self._transport.abort()  # type: ignore[attr-defined]


class NoConnection(ConnectionError):
    """No host would do. `failures` has the error of each that was asked, in their order."""

    def __init__(self, failures: Sequence[tuple[Host, BaseException]]) -> None:
        super().__init__("; ".join(f"{host}: {_reason(error)}" for host, error in failures))
        self.failures = failures


class OnlyReads(ConnectionError):
    """The server only takes reads: a standby, or a primary that is one no more."""

    def __init__(self) -> None:
        super().__init__("it only takes reads, as a standby does")


class Connector:
    """`url` as libpq reads it. Raises BadDatabaseUrl."""

    def __init__(self, url: str, statement_seconds: float | None) -> None:
        self.target = parse(url)
        self._statement_seconds = statement_seconds
        self._preferred: Host | None = None
        self._avoided: Host | None = None

    async def connect(self) -> Driver:
        """Raises NoConnection."""
        failures: list[tuple[Host, BaseException]] = []
        for host in self._in_order():
            try:
                driver = await self._connect(host)
            except Exception as error:  # noqa: BLE001  the next host may do
                failures.append((host, error))
                if isinstance(error, FINAL):
                    break
            else:
                self._preferred, self._avoided = host, None
                return driver
        raise NoConnection(failures)

    def avoid_present(self) -> None:
        """The host that was used last does not answer or takes no writes: it comes last now."""
        if self._preferred is not None:
            self._preferred, self._avoided = None, self._preferred

    @property
    def _several(self) -> bool:
        return len(self.target.hosts) > 1

    @property
    def _must_take_writes(self) -> bool:
        """Asked of each connection where there is a choice, or the URL says so."""
        return self._several or self.target.options.get("target_session_attrs", "any") != "any"

    def _in_order(self) -> Sequence[Host]:
        """All connections of a process go to the same host while that answers."""
        hosts = list(self.target.hosts)
        if self.target.options.get("load_balance_hosts") == "random":
            random.shuffle(hosts)
        return sorted(hosts, key=lambda host: (host == self._avoided, host != self._preferred))

    @property
    def _seconds(self) -> float:
        given = float(self.target.options.get("connect_timeout", 0))
        usual = CONNECT_SECONDS_EACH if self._several else CONNECT_SECONDS
        if given <= 0:
            return usual
        return min(given, usual) if self._several else given

    async def _connect(self, host: Host) -> Driver:
        try:
            async with asyncio.timeout(self._seconds):
                driver = await self._open(host)
                try:
                    await driver.execute(SESSION)
                    if self._must_take_writes and not await takes_writes(driver):
                        raise OnlyReads  # noqa: TRY301
                except BaseException:
                    driver.terminate()
                    raise
        except TimeoutError:
            raise TimeoutError(f"no answer within {self._seconds:g} s") from None
        driver.another = lambda: self._connect(host)
        return driver

    async def _open(self, host: Host) -> Driver:
        target = self.target
        options = target.options
        try:
            driver: Driver = await asyncpg.connect(
                driver_url(target),
                host=host.reached or None,
                port=host.port,
                user=target.user,
                password=target.password,
                passfile=options.get("passfile"),
                database=target.database,
                ssl=trusting_the_system(target),
                krbsrvname=options.get("krbsrvname"),
                gsslib=cast("Any", options.get("gsslib")),
                server_settings=_server_settings(target),
                # The attributes are looked at here, with a time of their own.
                target_session_attrs=SessionAttribute.any,
                command_timeout=self._statement_seconds,
                timeout=self._seconds,
                connection_class=Driver,
            )
        except FileNotFoundError as error:
            if host.is_socket or host.name is None:
                raise
            raise BadDatabaseUrl(f"A certificate file is missing ({error}).") from error
        _set_keepalives(driver, target)
        return driver


async def takes_writes(driver: "asyncpg.Connection[asyncpg.Record]") -> bool:
    query = "SELECT current_setting('transaction_read_only')"
    setting = await driver.fetchval(query, timeout=CONNECT_SECONDS)
    return bool(setting == "off")


def _server_settings(target: Target) -> dict[str, str]:
    options = target.options
    fallback = options.get("fallback_application_name", APPLICATION_NAME)
    settings = {"application_name": options.get("application_name", fallback)}
    if "options" in options:
        settings["options"] = options["options"]
    return settings


def _set_keepalives(driver: Driver, target: Target) -> None:
    options = {name: int(value) for name, value in target.options.items() if name in KEEPALIVES}
    connected = driver._transport.get_extra_info("socket")  # type: ignore[attr-defined]  # noqa: SLF001
    if connected is None or connected.family == getattr(socket, "AF_UNIX", None):
        return
    if target.options.get("keepalives", "1") != "0":
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in options.items():
        number = getattr(socket, KEEPALIVES[name], None)
        if number is not None and value > 0:
            connected.setsockopt(socket.IPPROTO_TCP, number, value)


def _reason(error: BaseException) -> str:
    """In one line; of what is behind it where it says nothing itself."""
    for each in chain(error):
        if text := " ".join(str(each).split()):
            return text
    return type(error).__name__
