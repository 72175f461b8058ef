"""The options of libpq (PostgreSQL, section 34.1.2), and how Rollcall supports each."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
TLS_VERSIONS = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
WRITABLE_ATTRS = ("any", "read-write", "primary")
READ_ONLY_ATTRS = ("read-only", "standby", "prefer-standby")

# Host, database and credentials. They are fields of `Target`.
TARGET_OPTIONS = frozenset({"host", "hostaddr", "port", "user", "password", "dbname"})

TEXTS = frozenset(
    {
        "application_name",
        "fallback_application_name",
        "options",
        "passfile",
        "krbsrvname",
        "sslrootcert",
        "sslcert",
        "sslkey",
        "sslpassword",
        "sslcrl",
    }
)

NUMBERS = frozenset(
    {
        "connect_timeout",
        "keepalives",
        "keepalives_idle",
        "keepalives_interval",
        "keepalives_count",
        "tcp_user_timeout",
    }
)

CHOICES = {
    "sslmode": SSL_MODES,
    "sslnegotiation": ("postgres", "direct"),
    "ssl_min_protocol_version": TLS_VERSIONS,
    "ssl_max_protocol_version": TLS_VERSIONS,
    "target_session_attrs": (*WRITABLE_ATTRS, *READ_ONLY_ATTRS),
    "load_balance_hosts": ("disable", "random"),
    "gsslib": ("gssapi", "sspi"),
}


@dataclass(frozen=True, slots=True)
class Fixed:
    """Only these values are accepted, because the driver always behaves so. `reason` is shown."""

    values: tuple[str, ...]
    reason: str


NO_CHANNEL_BINDING = "the driver does not have channel binding"
NO_GSS = "the driver does not encrypt by GSSAPI"
OFF = ("0", "off", "no", "false")

FIXED = {
    "client_encoding": Fixed(("utf8", "utf-8", "unicode", "auto"), "names need UTF8"),
    "channel_binding": Fixed(("disable", "prefer"), NO_CHANNEL_BINDING),
    "gssencmode": Fixed(("disable", "prefer"), NO_GSS),
    "gssdelegation": Fixed(("0",), "the driver does not delegate credentials"),
    "sslcompression": Fixed(("0", "1"), "TLS no longer has compression"),
    "sslsni": Fixed(("1",), "the driver always names the host in the TLS handshake"),
    "sslcertmode": Fixed(("allow",), "the driver sends the certificate when it is asked for it"),
    "replication": Fixed(OFF, "Rollcall needs an ordinary connection"),
    "min_protocol_version": Fixed(("3.0",), "the driver speaks version 3.0"),
    "max_protocol_version": Fixed(("3.0", "3.2", "latest"), "the driver speaks version 3.0"),
}

REFUSED = {
    "service": "put the settings of the service file into the URL",
    "servicefile": "put the settings of the service file into the URL",
    "requirepeer": "the driver does not check the owner of the socket; leave it out",
    "require_auth": "the driver accepts what the server asks for; leave it out",
    "sslcrldir": "give one file as sslcrl",
    "sslkeylogfile": "set the environment variable SSLKEYLOGFILE",
    "scram_client_key": "give the password",
    "scram_server_key": "give the password",
    "oauth_issuer": "give a password or a certificate",
    "oauth_client_id": "give a password or a certificate",
    "oauth_client_secret": "give a password or a certificate",
    "oauth_scope": "give a password or a certificate",
}

ALL_OPTIONS = TARGET_OPTIONS | TEXTS | NUMBERS | CHOICES.keys() | FIXED.keys() | REFUSED.keys()


class BadDatabaseUrl(ValueError):
    """One line: what is wrong with the URL, and what to write. It never has the password."""


def check_options(options: Mapping[str, str]) -> None:
    """Raises BadDatabaseUrl if an option is unknown, not supported, or has a wrong value."""
    for name, value in options.items():
        _check_option(name, value)
    _check_combinations(options)


def _check_option(name: str, value: str) -> None:
    if name in REFUSED:
        raise BadDatabaseUrl(f"The option {name} is not supported: {REFUSED[name]}.")
    if name in FIXED and value.lower() not in FIXED[name].values:
        fixed = FIXED[name]
        allowed = " or ".join(fixed.values)
        raise BadDatabaseUrl(f"{name} can only be {allowed}, or be left out: {fixed.reason}.")
    if name in CHOICES and value not in CHOICES[name]:
        raise BadDatabaseUrl(f"{name} must be one of {', '.join(CHOICES[name])}.")
    if name in NUMBERS and not re.fullmatch(r"-?\d{1,9}", value):
        raise BadDatabaseUrl(f"{name} must be a number.")
    if name not in ALL_OPTIONS:
        shown = name if re.fullmatch(r"\w{1,40}", name) else "after the question mark"
        raise BadDatabaseUrl(
            f"The option {shown} is not known. PostgreSQL's own settings go into options, "
            "such as options=-c%20statement_timeout%3D5s."
        )


def _check_combinations(options: Mapping[str, str]) -> None:
    mode = options.get("sslmode")
    if options.get("target_session_attrs") in READ_ONLY_ATTRS:
        raise BadDatabaseUrl(
            f"target_session_attrs={options['target_session_attrs']} looks for a read-only "
            "server, and Rollcall writes: use read-write."
        )
    if options.get("sslrootcert") == "system":
        if mode not in (None, "verify-full"):
            raise BadDatabaseUrl("sslrootcert=system goes with sslmode=verify-full only.")
        mode = "verify-full"
    if options.get("sslnegotiation") == "direct" and mode in (None, *SSL_MODES[:3]):
        raise BadDatabaseUrl("sslnegotiation=direct needs sslmode=require or stricter.")
    minimum, maximum = (options.get(f"ssl_{end}_protocol_version") for end in ("min", "max"))
    if minimum and maximum and TLS_VERSIONS.index(minimum) > TLS_VERSIONS.index(maximum):
        raise BadDatabaseUrl("ssl_min_protocol_version is above ssl_max_protocol_version.")
