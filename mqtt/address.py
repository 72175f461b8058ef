"""Address, credentials and TLS files of an MQTT broker."""

import ssl
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Address:
    """`ca`, `certificate` and `key`: paths of PEM files."""

    host: str
    port: int
    tls: bool = False
    username: str | None = None
    password: str | None = None
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


def tls_context(address: Address) -> ssl.SSLContext:
    """Raises OSError if a PEM file cannot be read."""
    context = ssl.create_default_context(cafile=str(address.ca) if address.ca else None)
    if address.certificate:
        context.load_cert_chain(address.certificate, address.key)
    return context
