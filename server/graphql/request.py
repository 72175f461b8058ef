"""Reads a GraphQL request out of an HTTP request, after the GraphQL-over-HTTP specification."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from starlette.requests import Request as HTTPRequest

from domain.errors import Unauthenticated
from schema.engine.execution import Request

JSON = "application/json"
GRAPHQL = "application/graphql-response+json"
EVENTS = "text/event-stream"
ANY = {"*/*": JSON, "application/*": JSON, JSON: JSON, GRAPHQL: GRAPHQL, EVENTS: EVENTS}

# A page of a foreign site can't send any of these without the browser asking us first.
PREFLIGHTED = ("authorization", "graphql-require-preflight", "apollo-require-preflight")
SAME_SITE = ("same-origin", "none")

HASH = re.compile(r"[0-9a-f]{64}")
PERSISTED = '{"version": 1, "sha256Hash": "<SHA-256 of `query` in UTF-8, in lower-case hex>"}'


@dataclass(frozen=True, slots=True)
class Wrong(Exception):
    """The HTTP request is no GraphQL request."""

    status: int
    message: str
    code: str = "BAD_REQUEST"
    headers: Mapping[str, str] | None = None


async def read_request(http: HTTPRequest, most_bytes: int) -> Request:
    """Raises Wrong; ClientDisconnect where the client went away."""
    if http.method not in ("GET", "HEAD"):
        return request_of(await read_object(http, most_bytes))
    check_preflight(http.headers)
    values: Any = dict(http.query_params)
    for name in ("variables", "extensions"):
        if name in values:
            values[name] = _json(values[name], f"`{name}`")
    return request_of(values)


async def read_object(http: HTTPRequest, most_bytes: int) -> dict[str, Any]:
    """The JSON object that is the body; raises as `read_request`."""
    _check_content(http.headers)
    values = _json(await read_body(http, most_bytes), "The body")
    if not isinstance(values, dict):
        raise Wrong(400, "The body must be a JSON object.")
    return values


def request_of(values: Mapping[str, Any]) -> Request:
    """From the parameters that the specification names; raises Wrong."""
    query, variables, name, extensions, id = (
        values.get(key)
        for key in ("query", "variables", "operationName", "extensions", "documentId")
    )
    for key, value in (("variables", variables), ("extensions", extensions)):
        if not isinstance(value, dict | None):
            raise Wrong(400, f"`{key}` must be a JSON object.")
    hash = _persisted(extensions) if extensions else None
    if id is not None:
        if query is not None or hash:
            raise Wrong(400, "Send either `query` or `documentId`.")
        if not isinstance(id, str):
            raise Wrong(400, "`documentId` must be a string: the id of a trusted document.")
        query = ""
    elif hash and query is None:
        query = ""
    elif not isinstance(query, str):
        raise Wrong(400, "`query` must be a string: the GraphQL document.")
    elif hash:
        _check_hash(hash, query)
        # An empty text is none that could be kept.
        hash = hash if query else None
    if not isinstance(name, str | None):
        raise Wrong(400, "`operationName` must be a string.")
    return Request(query, variables, name, id, hash)


def _persisted(extensions: Mapping[str, Any]) -> str | None:
    """The hash of an automatic persisted query; None: it is none. Raises Wrong."""
    asked = extensions.get("persistedQuery")
    if asked is None:
        return None
    version, hash = (
        (asked.get("version"), asked.get("sha256Hash")) if isinstance(asked, dict) else (None, None)
    )
    if version.__class__ is not int or version != 1:
        raise Wrong(400, f"`extensions.persistedQuery` must be {PERSISTED}.")
    if not isinstance(hash, str) or not HASH.fullmatch(hash):
        raise Wrong(400, f"`extensions.persistedQuery` must be {PERSISTED}.")
    return hash


def _check_hash(hash: str, query: str) -> None:
    if sha256(query.encode(errors="surrogatepass")).hexdigest() != hash:
        raise Wrong(
            400,
            "`extensions.persistedQuery.sha256Hash` is not the SHA-256 of `query`: hash the text "
            "that you send, in UTF-8.",
        )


def media_type(accept: str | None) -> str | None:
    """The one of ours that a client likes best, JSON if it does not say; None: it takes none."""
    best, quality = None, 0.0
    for part in (accept or "*/*").split(","):
        name, *parameters = [piece.strip().lower() for piece in part.split(";")]
        ours = ANY.get(name)
        likes = _quality(parameters)
        if ours and likes > quality:
            best, quality = ours, likes
    return best


def takes_events(accept: str | None) -> bool:
    """Whether a client that likes JSON better takes a stream of events too."""
    return any(media_type(part) == EVENTS for part in (accept or "").split(","))


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
        raise Wrong(400, "From another site, send the header `GraphQL-Require-Preflight: 1`.")


def _check_content(headers: Mapping[str, str]) -> None:
    name, *parameters = [part.strip() for part in headers.get("content-type", "").split(";")]
    if name.lower() != JSON:
        raise Wrong(415, f"Send `Content-Type: {JSON}`.")
    for parameter in parameters:
        key, _, value = parameter.lower().partition("=")
        if key == "charset" and value.strip('"') not in ("utf-8", "utf8"):
            raise Wrong(415, "Send the body in UTF-8.")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise Wrong(415, "Send the body without Content-Encoding.")


async def read_body(http: HTTPRequest, most: int) -> bytes:
    """Raises Wrong for more than so many bytes."""
    too_large = Wrong(
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


def _json(text: bytes | str, what: str) -> Any:
    try:
        return json.loads(text, parse_constant=no_constant)
    except (ValueError, RecursionError):
        raise Wrong(400, f"{what} is not valid JSON.") from None


def no_constant(name: str) -> Any:
    """For `parse_constant` of json.loads, which takes NaN and Infinity for JSON."""
    raise ValueError(f"{name} is not JSON")


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            try:
                return min(max(float(value), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0
