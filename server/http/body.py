"""Bodies and headers of HTTP requests, read with limits."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request as HTTPRequest

from domain.errors import Unauthenticated

JSON = "application/json"
# A page of a foreign site can't send any of these without the browser asking us first.
PREFLIGHTED = ("authorization", "graphql-require-preflight", "apollo-require-preflight")
SAME_SITE = ("same-origin", "none")


@dataclass(frozen=True, slots=True)
class BadRequest(Exception):
    """The HTTP request is no GraphQL request."""

    status: int
    message: str
    code: str = "BAD_REQUEST"
    headers: Mapping[str, str] | None = None


async def read_object(http: HTTPRequest, most_bytes: int) -> dict[str, Any]:
    """The JSON object that is the body; raises as `read_request`."""
    _check_content(http.headers)
    values = parse_json(await read_body(http, most_bytes), "The body")
    if not isinstance(values, dict):
        raise BadRequest(400, "The body must be a JSON object.")
    return values


async def read_body(http: HTTPRequest, most: int) -> bytes:
    """Raises BadRequest for more than so many bytes."""
    too_large = BadRequest(
        413, f"The body may have {most} bytes at most.", "OVER_LIMIT", {"Connection": "close"}
    )
    length = http.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and len(length) < 20 and int(length) > most:  # noqa: PLR2004
        raise too_large
    body = bytearray()
    async for chunk in http.stream():
        body += chunk
        if len(body) > most:
            raise too_large
    return bytes(body)


def bearer(header: str | None) -> str | None:
    """The token of an Authorization header; raises Unauthenticated for another scheme."""
    if header is None:
        return None
    scheme, _, secret = header.partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise Unauthenticated("Send `Authorization: Bearer <token>`.")
    return secret.strip()


def check_preflight(headers: Mapping[str, str]) -> None:
    """A page elsewhere may not make a visitor's browser ask: it has to be asked first (CORS)."""
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
    """For `parse_constant` of json.loads, which takes NaN and Infinity for JSON."""
    raise ValueError(f"{name} is not JSON")
