"""Error responses of the Bot API."""

import json
from typing import Any

from tests.support.telegram.http import Response


class ApiError(Exception):
    """`description`: Telegram's text, with its prefix. `retry_after`: seconds. `migrated_to`: the
    id of the supergroup that a group has become.
    """

    def __init__(
        self,
        code: int,
        description: str,
        retry_after: int | None = None,
        migrated_to: int | None = None,
    ) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.retry_after = retry_after
        self.migrated_to = migrated_to

    @property
    def response(self) -> Response:
        body: dict[str, Any] = {
            "ok": False,
            "error_code": self.code,
            "description": self.description,
        }
        if self.retry_after is not None:
            body["parameters"] = {"retry_after": self.retry_after}
        if self.migrated_to is not None:
            body["parameters"] = {"migrate_to_chat_id": self.migrated_to}
        return Response(self.code, json.dumps(body).encode())


def bad_request(what: str) -> ApiError:
    return ApiError(400, f"Bad Request: {what}")


def migrated(chat_id: int) -> ApiError:
    what = "Bad Request: group chat was upgraded to a supergroup chat"
    return ApiError(400, what, migrated_to=chat_id)


def conflict(what: str) -> ApiError:
    return ApiError(409, f"Conflict: {what}")


def blocked() -> ApiError:
    return ApiError(403, "Forbidden: bot was blocked by the user")


def forbidden(what: str) -> ApiError:
    return ApiError(403, f"Forbidden: {what}")


def too_many(retry_after: int) -> ApiError:
    return ApiError(429, f"Too Many Requests: retry after {retry_after}", retry_after)
