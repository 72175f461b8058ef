"""The TLS options of a database URL."""

import os
import ssl
from pathlib import Path
from urllib.parse import quote, urlencode

from db.postgres.dsn.options import BadDatabaseUrl
from db.postgres.dsn.url import Target

# Options that the driver accepts only in a URL.
IN_URL = (
    "sslmode",
    "sslnegotiation",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "sslpassword",
    "sslcrl",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
)
CHECKING = ("require", "verify-ca", "verify-full")
VERIFYING = ("verify-ca", "verify-full")
SYSTEM = "system"


def driver_url(target: Target) -> str:
    """Return a URL for the driver that has only the TLS options."""
    given = {name: target.options[name] for name in IN_URL if name in target.options}
    return f"postgresql://?{urlencode(given, quote_via=quote)}" if given else "postgresql://"


def system_trust_context(target: Target) -> ssl.SSLContext | None:
    """Return a context for `sslrootcert=system`, which the driver does not support; else None."""
    options = target.options
    if options.get("sslrootcert") != SYSTEM:
        return None
    context = ssl.create_default_context()
    context.minimum_version = _version(options.get("ssl_min_protocol_version", "TLSv1.2"))
    if "ssl_max_protocol_version" in options:
        context.maximum_version = _version(options["ssl_max_protocol_version"])
    if "sslcrl" in options:
        context.load_verify_locations(cafile=options["sslcrl"])
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    if "sslcert" in options:
        _load_chain(context, target)
    context.set_alpn_protocols(["postgresql"])
    return context


def check_files(target: Target) -> None:
    """Raises BadDatabaseUrl if a certificate or key can't be used."""
    options = target.options
    mode = options.get("sslmode", "prefer")
    if mode == "disable" or all(host.is_socket for host in target.hosts):
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    root = options.get("sslrootcert")
    if root and root != SYSTEM and mode in CHECKING:
        _load(context, "sslrootcert", root)
    if not root and mode in VERIFYING and not _default_root().is_file():
        raise BadDatabaseUrl(
            f"sslmode={mode} needs sslrootcert: the file with the certificate authority of the "
            "server, or system."
        )
    if "sslcrl" in options and mode in CHECKING:
        _load(context, "sslcrl", options["sslcrl"])
    for name in ("sslcert", "sslkey"):
        if name in options:
            _check_readable(name, options[name])
    if "sslcert" in options:
        try:
            _load_chain(context, target)
        except (ssl.SSLError, OSError):
            raise BadDatabaseUrl(
                f"sslcert {options['sslcert']} can't be used: its key must be in it or in sslkey, "
                "and an encrypted key needs sslpassword."
            ) from None


def _load_chain(context: ssl.SSLContext, target: Target) -> None:
    options = target.options
    # The password is a function, so that OpenSSL does not prompt at the terminal.
    context.load_cert_chain(
        options["sslcert"], options.get("sslkey"), lambda: options.get("sslpassword", "")
    )


def _load(context: ssl.SSLContext, name: str, path: str) -> None:
    _check_readable(name, path)
    try:
        context.load_verify_locations(cafile=path)
    except (ssl.SSLError, OSError):
        raise BadDatabaseUrl(f"{name} {path} has no certificates in PEM format.") from None


def _check_readable(name: str, path: str) -> None:
    if not (Path(path).is_file() and os.access(path, os.R_OK)):
        raise BadDatabaseUrl(f"{name}: there is no file {path} that can be read.")


def _default_root() -> Path:
    given = os.environ.get("PGSSLROOTCERT")
    # Unlike Path.home(), this does not raise an error if there is no home directory.
    return Path(given or os.path.expanduser("~/.postgresql/root.crt"))  # noqa: PTH111


def _version(name: str) -> ssl.TLSVersion:
    return ssl.TLSVersion[name.replace(".", "_")]
