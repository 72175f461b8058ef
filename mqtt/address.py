"""Where a broker is, and how a connection to it is encrypted."""

import ssl
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Address:
    """Where the broker is, and how this server proves itself. Paths are of PEM files."""

    host: str
    port: int
    tls: bool = False
    username: str | None = None
    password: str | None = None
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


def tls_context(address: Address) -> ssl.SSLContext:
    """Raises OSError."""
    context = ssl.create_default_context(cafile=str(address.ca) if address.ca else None)
    if address.certificate:
        context.load_cert_chain(address.certificate, address.key)
    return context
