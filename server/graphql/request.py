"""Reads GraphQL requests from HTTP requests, by the GraphQL-over-HTTP specification."""

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from starlette.requests import Request as HTTPRequest

from schema.engine.operation import Request
from server.http.body import JSON, BadRequest, check_preflight, parse_json, read_object

GRAPHQL = "application/graphql-response+json"
EVENTS = "text/event-stream"
MEDIA_TYPES = {"*/*": JSON, "application/*": JSON, JSON: JSON, GRAPHQL: GRAPHQL, EVENTS: EVENTS}

HASH = re.compile(r"[0-9a-f]{64}")
PERSISTED = '{"version": 1, "sha256Hash": "<SHA-256 of `query` in UTF-8, in lower-case hex>"}'


async def read_request(http: HTTPRequest, max_bytes: int) -> Request:
    """Raises BadRequest, and ClientDisconnect if the client disconnects."""
    if http.method not in ("GET", "HEAD"):
        return request_of(await read_object(http, max_bytes))
    check_preflight(http.headers)
    values: Any = dict(http.query_params)
    for name in ("variables", "extensions"):
        if name in values:
            values[name] = parse_json(values[name], f"`{name}`")
    return request_of(values)


def request_of(values: Mapping[str, Any]) -> Request:
    """Create a request from the parameters of the specification. Raises BadRequest."""
    query, variables, name, extensions, id = (
        values.get(key)
        for key in ("query", "variables", "operationName", "extensions", "documentId")
    )
    for key, value in (("variables", variables), ("extensions", extensions)):
        if not isinstance(value, dict | None):
            raise BadRequest(400, f"`{key}` must be a JSON object.")
    hash = _persisted(extensions) if extensions else None
    if id is not None:
        if query is not None or hash:
            raise BadRequest(400, "Send either `query` or `documentId`.")
        if not isinstance(id, str):
            raise BadRequest(400, "`documentId` must be a string: the id of a trusted document.")
        query = ""
    elif hash and query is None:
        query = ""
    elif not isinstance(query, str):
        raise BadRequest(400, "`query` must be a string: the GraphQL document.")
    elif hash:
        _check_hash(hash, query)
        # An empty document is not persisted.
        hash = hash if query else None
    if not isinstance(name, str | None):
        raise BadRequest(400, "`operationName` must be a string.")
    return Request(query, variables, name, id, hash)


def _persisted(extensions: Mapping[str, Any]) -> str | None:
    """Return the hash of an automatic persisted query, or None for others. Raises BadRequest."""
    given = extensions.get("persistedQuery")
    if given is None:
        return None
    version, hash = (
        (given.get("version"), given.get("sha256Hash")) if isinstance(given, dict) else (None, None)
    )
    if version.__class__ is not int or version != 1:
        raise BadRequest(400, f"`extensions.persistedQuery` must be {PERSISTED}.")
    if not isinstance(hash, str) or not HASH.fullmatch(hash):
        raise BadRequest(400, f"`extensions.persistedQuery` must be {PERSISTED}.")
    return hash


def _check_hash(hash: str, query: str) -> None:
    if sha256(query.encode(errors="surrogatepass")).hexdigest() != hash:
        raise BadRequest(
            400,
            "`extensions.persistedQuery.sha256Hash` is not the SHA-256 of `query`: hash the text "
            "that you send, in UTF-8.",
        )


def media_type(accept: str | None) -> str | None:
    """Return the supported media type that the client prefers; JSON without an `Accept` header.

    None if the client accepts none of them.
    """
    best, quality = None, 0.0
    for part in (accept or "*/*").split(","):
        name, *parameters = [piece.strip().lower() for piece in part.split(";")]
        media = MEDIA_TYPES.get(name)
        preference = _quality(parameters)
        if media and preference > quality:
            best, quality = media, preference
    return best


def takes_events(accept: str | None) -> bool:
    """Whether the client accepts a stream of events, even if it prefers JSON."""
    return any(media_type(part) == EVENTS for part in (accept or "").split(","))


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            try:
                return min(max(float(value), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0
