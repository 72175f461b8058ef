"""Connects to the first usable host of a database URL. Each host has its own timeout."""

import asyncio
import random
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import asyncpg
from asyncpg.connect_utils import SessionAttribute

from db.postgres.dsn.options import BadDatabaseUrl
from db.postgres.dsn.tls import driver_url, system_trust_context
from db.postgres.dsn.url import Host, Target, parse
from db.postgres.transient import chain

CONNECT_SECONDS = 5.0
# Per host if there are several, so that a frozen one does not delay a failover much.
CONNECT_SECONDS_EACH = 4.0
CANCEL_SECONDS = 2.0
# Timeout of trivial statements. A server that does not answer them is considered dead.
PROBE_SECONDS = 5
APPLICATION_NAME = "rollcall"
# An open transaction of a frozen process would block new events for all subscribers.
IDLE_IN_TRANSACTION_MS = 60_000
# Set by a statement, because PgBouncer does not accept it as a connection parameter.
SESSION = f"SET idle_in_transaction_session_timeout = {IDLE_IN_TRANSACTION_MS}"
# Errors of the credentials, which are the same for the other hosts.
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
    """A connection whose cancelled statements end in time, even if the server is frozen.

    `another` opens a second connection to the same server.
    """

    another: Callable[[], Awaitable["Driver"]]

    async def _cancel(self, waiter: Any, cancel_waiter: Any = None) -> None:
        """Cancel with a timeout. The driver would use the timeout of the statement."""
        async with asyncio.timeout(CANCEL_SECONDS) as limit:
            await super()._cancel(waiter, cancel_waiter)  # type: ignore[misc]
        if limit.expired():
            self.drop()

    def is_closed(self) -> bool:
        """Return True from `drop` on. The driver itself notices it a moment later."""
        return super().is_closed() or self._transport.is_closing()  # type: ignore[attr-defined]

    def drop(self) -> None:
        """Close the connection as if the server had closed it.

        A running statement raises an error of the driver. After `terminate` it would fail with an
        error inside the driver, because parts of the connection are missing.
        """
        if not self.is_closed():
            self._transport.abort()  # type: ignore[attr-defined]


class NoConnection(ConnectionError):
    """No host is usable. `failures` has the error of each host that was tried, in order."""

    def __init__(self, failures: Sequence[tuple[Host, BaseException]]) -> None:
        super().__init__("; ".join(f"{host}: {_reason(error)}" for host, error in failures))
        self.failures = failures


class ReadOnlyServer(ConnectionError):
    """The server only accepts reads: a standby, or a former primary."""

    def __init__(self) -> None:
        super().__init__("it only accepts reads, as a standby does")


class Connector:
    """Connects to the hosts of a URL, which is read as libpq does. Raises BadDatabaseUrl."""

    def __init__(self, url: str, statement_seconds: float | None) -> None:
        self.target = parse(url)
        self._statement_seconds = statement_seconds
        self._current: Host | None = None
        self._avoided: Host | None = None

    async def connect(self) -> Driver:
        """Raises NoConnection."""
        failures: list[tuple[Host, BaseException]] = []
        for host in self._ordered_hosts():
            try:
                driver = await self._connect(host)
            except Exception as error:  # noqa: BLE001  the next host may work
                failures.append((host, error))
                if isinstance(error, FINAL):
                    break
            else:
                self._current, self._avoided = host, None
                return driver
        raise NoConnection(failures)

    def avoid_current_host(self) -> None:
        """Try the last used host last, because it does not answer or does not accept writes."""
        if self._current is not None:
            self._current, self._avoided = None, self._current

    @property
    def _has_several_hosts(self) -> bool:
        return len(self.target.hosts) > 1

    @property
    def _must_be_writable(self) -> bool:
        """True if there are several hosts, or if the URL requires it."""
        return (
            self._has_several_hosts
            or self.target.options.get("target_session_attrs", "any") != "any"
        )

    def _ordered_hosts(self) -> Sequence[Host]:
        """The current host is first: all connections go to it while it answers."""
        hosts = list(self.target.hosts)
        if self.target.options.get("load_balance_hosts") == "random":
            random.shuffle(hosts)
        return sorted(hosts, key=lambda host: (host == self._avoided, host != self._current))

    @property
    def _timeout(self) -> float:
        given = float(self.target.options.get("connect_timeout", 0))
        default = CONNECT_SECONDS_EACH if self._has_several_hosts else CONNECT_SECONDS
        if given <= 0:
            return default
        return min(given, default) if self._has_several_hosts else given

    async def _connect(self, host: Host) -> Driver:
        try:
            async with asyncio.timeout(self._timeout):
                driver = await self._open(host)
                try:
                    await driver.execute(SESSION)
                    if self._must_be_writable and not await is_writable(driver):
                        raise ReadOnlyServer  # noqa: TRY301
                except BaseException:
                    driver.terminate()
                    raise
        except TimeoutError:
            raise TimeoutError(f"no answer within {self._timeout:g} s") from None
        driver.another = lambda: self._connect(host)
        return driver

    async def _open(self, host: Host) -> Driver:
        target = self.target
        options = target.options
        try:
            driver: Driver = await asyncpg.connect(
                driver_url(target),
                host=host.connect_to or None,
                port=host.port,
                user=target.user,
                password=target.password,
                passfile=options.get("passfile"),
                database=target.database,
                ssl=system_trust_context(target),
                krbsrvname=options.get("krbsrvname"),
                gsslib=cast("Any", options.get("gsslib")),
                server_settings=_server_settings(target),
                # `_connect` checks the attributes, with its own timeout.
                target_session_attrs=SessionAttribute.any,
                command_timeout=self._statement_seconds,
                timeout=self._timeout,
                connection_class=Driver,
            )
        except FileNotFoundError as error:
            if host.is_socket or host.name is None:
                raise
            raise BadDatabaseUrl(f"A certificate file is missing ({error}).") from error
        _set_keepalives(driver, target)
        return driver


async def is_writable(driver: "asyncpg.Connection[asyncpg.Record]") -> bool:
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
    """Return the text of an error in one line. If it has none, that of its cause."""
    for each in chain(error):
        if text := " ".join(str(each).split()):
            return text
    return type(error).__name__
