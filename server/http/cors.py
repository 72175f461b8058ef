"""CORS headers, the same over ASGI and on the fast path."""

from collections.abc import Collection
from typing import Any

from starlette.middleware.cors import CORSMiddleware
from starlette.types import Receive, Scope, Send

VARY = b"vary: Origin\r\n"


def cors_options(origins: Collection[str]) -> dict[str, Any]:
    """Return the options of CORSMiddleware."""
    return {
        "allow_origins": origins,
        "allow_methods": ["GET", "POST", "PUT", "PATCH", "DELETE"],
        "allow_headers": ["Authorization", "Content-Type", "GraphQL-Require-Preflight"],
        "expose_headers": ["Retry-After", "X-Request-Id"],
    }


class CorsLines:
    """Encodes the headers that CORSMiddleware adds to a response. No origins: none."""

    def __init__(self, origins: Collection[str]) -> None:
        self._middleware = CORSMiddleware(_no_app, **cors_options(origins)) if origins else None

    def encode(self, origin: bytes | None) -> bytes:
        """`origin`: the header of the request."""
        if self._middleware is None:
            return b""
        if origin is None:
            return VARY
        text = origin.decode("latin-1")
        headers = dict(self._middleware.simple_headers)
        if self._middleware.is_allowed_origin(text):
            headers["Access-Control-Allow-Origin"] = text
        lines = (f"{name.lower()}: {value}\r\n".encode() for name, value in headers.items())
        return b"".join([*lines, VARY])


async def _no_app(_: Scope, __: Receive, ___: Send) -> None:
    raise NotImplementedError
