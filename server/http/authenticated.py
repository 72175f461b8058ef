"""Tells the connection of a request that its client has shown a valid token."""

from collections.abc import Mapping
from typing import Any

from domain.access.caller import Caller

# Key in an ASGI scope of a function without parameters.
AUTHENTICATED = "rollcall.authenticated"


def mark_authenticated(scope: Mapping[str, Any], caller: object) -> None:
    if isinstance(caller, Caller) and caller.token_id is not None:
        mark = scope.get(AUTHENTICATED)
        if mark:
            mark()
