"""Reads bodies and checks headers of HTTP requests, with limits."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request as HTTPRequest

from domain.errors import Unauthenticated

JSON = "application/json"
# For a page of another site, browsers send these only after a CORS preflight request.
PREFLIGHTED = ("authorization", "graphql-require-preflight", "apollo-require-preflight")
SAME_SITE = ("same-origin", "none")
BODY_SECONDS = 20


@dataclass(frozen=True, slots=True)
class BadRequest(Exception):
    """The HTTP request is malformed. `headers`: of the response."""

    status: int
    message: str
    code: str = "BAD_REQUEST"
    headers: Mapping[str, str] | None = None


TOO_SLOW = BadRequest(
    408, f"Send the body within {BODY_SECONDS} seconds.", headers={"Connection": "close"}
)


async def read_object(http: HTTPRequest, max_bytes: int) -> dict[str, Any]:
    """Read a body that is a JSON object.

    Raises BadRequest if it is anything else or arrives too late, ClientDisconnect if the client
    disconnects.
    """
    _check_content(http.headers)
    values = parse_json(await read_body(http, max_bytes), "The body")
    if not isinstance(values, dict):
        raise BadRequest(400, "The body must be a JSON object.")
    return values


async def read_body(http: HTTPRequest, max_bytes: int) -> bytes:
    """Raises BadRequest if the body has more than `max_bytes`, or takes more than BODY_SECONDS.

    Raises ClientDisconnect if the client disconnects.
    """
    too_large = BadRequest(
        413, f"The body may have at most {max_bytes} bytes.", "OVER_LIMIT", {"Connection": "close"}
    )
    length = http.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and len(length) < 20 and int(length) > max_bytes:  # noqa: PLR2004
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in http.stream():
                body += chunk
                if len(body) > max_bytes:
                    raise too_large
    except TimeoutError:
        raise TOO_SLOW from None
    return bytes(body)


def bearer(header: str | None) -> str | None:
    """Return the token of an Authorization header.

    Raises Unauthenticated if the scheme is not Bearer.
    """
    if header is None:
        return None
    scheme, _, secret = header.partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise Unauthenticated("Send `Authorization: Bearer <token>`.")
    return secret.strip()


def check_preflight(headers: Mapping[str, str]) -> None:
    """Prevent cross-site requests that browsers send without a CORS preflight request.

    Raises BadRequest for them.
    """
    if any(headers.get(name) for name in PREFLIGHTED):
        return
    if "origin" in headers or headers.get("sec-fetch-site", "none") not in SAME_SITE:
        raise BadRequest(400, "From another site, send the header `GraphQL-Require-Preflight: 1`.")


def _check_content(headers: Mapping[str, str]) -> None:
    name, *parameters = [part.strip() for part in headers.get("content-type", "").split(";")]
    if name.lower() != JSON:
        raise BadRequest(415, f"Send `Content-Type: {JSON}`.")
    for parameter in parameters:
        key, _, value = parameter.lower().partition("=")
        if key == "charset" and value.strip('"') not in ("utf-8", "utf8"):
            raise BadRequest(415, "Send the body in UTF-8.")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise BadRequest(415, "Send the body without Content-Encoding.")


def parse_json(text: bytes | str, what: str) -> Any:
    try:
        return json.loads(text, parse_constant=no_constant)
    except (ValueError, RecursionError):
        raise BadRequest(400, f"{what} is not valid JSON.") from None


def no_constant(name: str) -> Any:
    """For `parse_constant` of json.loads, which accepts NaN and Infinity by default."""
    raise ValueError(f"{name} is not JSON")
