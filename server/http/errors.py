"""HTTP status, headers and WebSocket close code of each error code."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from domain.errors import RollcallError
from server.http.body import JSON


@dataclass(frozen=True, slots=True)
class Response:
    """`status`: HTTP status of a request that is refused.

    `json_status`: GraphQL's status for a client that accepts `application/json`, if another.
    `retry_after`: the response has the header `Retry-After`, in seconds. GraphQL uses the status of
    such an error for an executed request, too; any other error of a resolver is sent with 200.
    `close_code`: of a WebSocket; None if the error does not close it.
    """

    status: int
    json_status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    retry_after: bool = False
    close_code: int | None = None

    def graphql_status(self, media: str) -> int:
        """`media`: the media type of the response."""
        return self.json_status if self.json_status and media == JSON else self.status

    def headers_for(self, error: RollcallError) -> Mapping[str, str]:
        if not self.retry_after:
            return self.headers
        return {**self.headers, "Retry-After": str(error.retry_after_seconds)}


# The client sends the document next, so an HTTP cache must not repeat this response.
NOT_CACHED = {"Cache-Control": "private, no-cache, must-revalidate"}

# Codes of the WebSocket protocol itself: RFC 6455, section 7.4, and graphql-transport-ws.
RESPONSES: Mapping[str, Response] = {
    # For the close code only: each `BadRequest` has its own status.
    "BAD_REQUEST": Response(400, close_code=4400),
    # REST sends the errors of variables as INVALID.
    "BAD_DOCUMENT": Response(400, json_status=200),
    "DOCUMENT_NOT_FOUND": Response(400, json_status=200),
    "OVER_LIMIT": Response(400, json_status=200),
    # Sent with 200, as by Apollo Server: clients look for them in successful responses.
    "PERSISTED_QUERY_NOT_FOUND": Response(200, headers=NOT_CACHED),
    "PERSISTED_QUERY_NOT_SUPPORTED": Response(200, headers=NOT_CACHED),
    "UNAUTHENTICATED": Response(401, headers={"WWW-Authenticate": "Bearer"}, close_code=4401),
    "FORBIDDEN": Response(403),
    "INTROSPECTION_DISABLED": Response(403),
    "TRUSTED_DOCUMENTS_ONLY": Response(403),
    "NOT_ALLOWED": Response(403),
    "USED_UP": Response(403),
    "NOT_FOUND": Response(404),
    "CONFLICT": Response(409),
    "INVALID": Response(422),
    "RATE_LIMITED": Response(429, retry_after=True, close_code=4429),
    "DATABASE_UNAVAILABLE": Response(503, retry_after=True, close_code=1013),
    "OVERLOADED": Response(503, retry_after=True, close_code=1013),
    "TIMED_OUT": Response(503),
    # The next two end subscriptions only: no request is refused with them.
    "RESTARTING": Response(503, close_code=1012),
    "CUT_OFF": Response(500, close_code=4413),
    "INTERNAL": Response(500),
}


def close_code(code: str) -> int:
    """Return the WebSocket close code. Raises ValueError if the error does not close it."""
    found = RESPONSES[code].close_code
    if found is None:
        raise ValueError(f"{code} does not close a WebSocket.")
    return found


def internal_error(id: str) -> dict[str, Any]:
    """Return an entry of `errors` for a bug. The log has its text under `id`."""
    return {
        "message": f"Internal error {id}: it has been logged.",
        "extensions": {"code": "INTERNAL", "id": id},
    }
