"""Messages of graphql-transport-ws, and the errors that close a connection."""

import json
from typing import Any

from server.graphql.connections import CloseReason
from server.http.body import no_constant
from server.http.errors import close_code

# Characters.
MAX_ID = 200

BAD_MESSAGE = close_code("BAD_REQUEST")
TOO_LARGE = 1009


class Ended(Exception):
    """Closes the WebSocket."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.close_reason = CloseReason(code, reason, "")


def parse_message(text: str, max_length: int) -> dict[str, Any]:
    """Return an object with a `type`. Raises Ended for anything else."""
    if len(text) > max_length:
        raise Ended(TOO_LARGE, "This message is too large.")
    try:
        message = json.loads(text, parse_constant=no_constant)
    except (ValueError, RecursionError):
        raise Ended(BAD_MESSAGE, "Send messages in JSON.") from None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise Ended(BAD_MESSAGE, "A message is an object with a `type`.")
    return message


def id_of(message: dict[str, Any]) -> str:
    """Return the id of the operation. Raises Ended if there is none."""
    id = message.get("id")
    if not isinstance(id, str) or not 0 < len(id) <= MAX_ID:
        raise Ended(BAD_MESSAGE, f"`id` must be a string of 1 to {MAX_ID} characters.")
    return id


def unknown_type(message: dict[str, Any]) -> Ended:
    return Ended(BAD_MESSAGE, f"Unknown message type: {message['type'][:40]}")
