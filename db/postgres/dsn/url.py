"""Database URLs as libpq reads them (PostgreSQL, section 34.1.1.2)."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

from db.postgres.dsn.options import TARGET_OPTIONS, BadDatabaseUrl, check_options

EXAMPLE = "postgresql://user:password@host:5432/rollcall"
SCHEMES = ("postgresql", "postgres", "postgresql+asyncpg")
ENCODE = "in a user name or password, write @ as %40, : as %3A, / as %2F and % as %25"
HIGHEST_PORT = 65_535
# Other names of libpq's options.
ALIASES = {"database": "dbname"}


@dataclass(frozen=True, slots=True)
class Host:
    """`name`: of a machine, or the folder of a socket; None: the driver's default.

    `address`: the IP address to connect to instead of resolving the name.
    """

    name: str | None = None
    port: int | None = None
    address: str | None = None

    @property
    def is_socket(self) -> bool:
        return self.connect_to.startswith("/")

    @property
    def connect_to(self) -> str:
        return self.address or self.name or ""

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port}"
        host = f"[{self.connect_to}]" if ":" in self.connect_to else self.connect_to
        return f"{host or 'the default host'}{port}"


@dataclass(frozen=True, slots=True)
class Target:
    """A parsed URL. `hosts` has at least one; `options` has those that are not other fields."""

    hosts: tuple[Host, ...]
    user: str | None
    password: str | None = field(repr=False)
    database: str | None
    options: Mapping[str, str] = field(repr=False)


def parse(url: str) -> Target:
    """Parse a database URL. Raises BadDatabaseUrl."""
    scheme, found, rest = url.strip().partition("://")
    if not found or scheme not in SCHEMES:
        raise BadDatabaseUrl(f"Give a URL such as {EXAMPLE}.")
    credentials, rest = _split_credentials(rest)
    authority, rest = _split(rest, "/?")
    database, query = rest.removeprefix("/").partition("?")[::2]
    values = dict(_target_values(credentials, authority))
    if database:
        values["dbname"] = _decoded(database)
    values |= _options(query)
    options = {name: value for name, value in values.items() if name not in TARGET_OPTIONS}
    check_options(options)
    hosts = tuple(_hosts(values))
    if options.get("sslmode") == "verify-full" and any(h.name and h.address for h in hosts):
        raise BadDatabaseUrl("hostaddr can't be used with sslmode=verify-full: give host alone.")
    return Target(hosts, values.get("user"), values.get("password"), values.get("dbname"), options)


def _split(text: str, ends: str) -> tuple[str, str]:
    """Return the text before the first character of `ends`, and the rest from it on."""
    found = re.search(f"[{re.escape(ends)}]", text)
    return (text, "") if found is None else (text[: found.start()], text[found.start() :])


def _split_credentials(rest: str) -> tuple[str, str]:
    before, after = _split(rest, "@/")
    return (before, after[1:]) if after.startswith("@") else ("", rest)


def _target_values(credentials: str, authority: str) -> Iterable[tuple[str, str]]:
    if "@" in authority:
        raise BadDatabaseUrl(f"There is more than one @ before the host: {ENCODE}.")
    user, _, password = credentials.partition(":")
    hosts = [_host_and_port(each) for each in authority.split(",")]
    found = {
        "user": _decoded(user),
        "password": _decoded(password),
        "host": ",".join(host for host, _ in hosts),
        "port": ",".join(port for _, port in hosts).strip(","),
    }
    if found["port"] and len(hosts) > 1:
        found["port"] = ",".join(port for _, port in hosts)
    return ((name, value) for name, value in found.items() if value)


def _host_and_port(text: str) -> tuple[str, str]:
    bracketed = re.fullmatch(r"\[([^\]]+)\](?::(.*))?", text)
    if bracketed:
        return bracketed[1], _decoded(bracketed[2] or "")
    host, _, port = text.partition(":")
    return _decoded(host), _decoded(port)


def _options(query: str) -> Mapping[str, str]:
    """Return the options of a query. Empty values are left out; the last of several counts."""
    found: dict[str, str] = {}
    for pair in query.split("&") if query else ():
        name, equals, value = pair.partition("=")
        if not equals:
            raise BadDatabaseUrl("After the question mark come options such as sslmode=require.")
        name, value = _decoded(name), _decoded(value)
        name = ALIASES.get(name, name)
        if name == "ssl":
            # JDBC's `ssl=true`, which libpq accepts, and asyncpg's `ssl` with a mode.
            name, value = "sslmode", "require" if value == "true" else value
        found[name] = value
    return {name: value for name, value in found.items() if value}


def _hosts(values: Mapping[str, str]) -> Sequence[Host]:
    names = values.get("host", "").split(",")
    addresses = values.get("hostaddr", "").split(",")
    count = len(names)
    if values.get("hostaddr"):
        if values.get("host") and len(addresses) != count:
            raise BadDatabaseUrl("hostaddr must have as many addresses as there are hosts.")
        count = len(addresses)
        names = names if values.get("host") else [""] * count
    else:
        addresses = [""] * count
    ports = values.get("port", "").split(",")
    if len(ports) == 1:
        ports *= count
    if len(ports) != count:
        raise BadDatabaseUrl(f"There are {len(ports)} ports for {count} hosts.")
    if count > 1 and not all(
        name or address for name, address in zip(names, addresses, strict=True)
    ):
        raise BadDatabaseUrl("One of the hosts is empty.")
    return [
        Host(name or None, _port(port), address or None)
        for name, port, address in zip(names, ports, addresses, strict=True)
    ]


def _port(text: str) -> int | None:
    if not text:
        return None
    # Not shown in the message, because it may be a part of a password.
    if not re.fullmatch(r"\d{1,5}", text) or not 0 < int(text) <= HIGHEST_PORT:
        raise BadDatabaseUrl(f"A port must be a number up to {HIGHEST_PORT}; {ENCODE}.")
    return int(text)


def _decoded(text: str) -> str:
    if re.search(r"%(?![0-9A-Fa-f]{2})|%00", text):
        raise BadDatabaseUrl(f"A % must be followed by two hexadecimal digits: {ENCODE}.")
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise BadDatabaseUrl("Characters that are written with % must be UTF-8.") from None
