"""What Telegram answers where it doesn't do as asked."""

import json
from typing import Any

from tests.notifier.telegram.wire import Answer


class Refusal(Exception):
    """`retry_after`: seconds. The description is Telegram's text, with its prefix."""

    def __init__(self, code: int, description: str, retry_after: int | None = None) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.retry_after = retry_after

    @property
    def answer(self) -> Answer:
        body: dict[str, Any] = {
            "ok": False,
            "error_code": self.code,
            "description": self.description,
        }
        if self.retry_after is not None:
            body["parameters"] = {"retry_after": self.retry_after}
        return Answer(self.code, json.dumps(body).encode())


def bad_request(what: str) -> Refusal:
    return Refusal(400, f"Bad Request: {what}")


def conflict(what: str) -> Refusal:
    return Refusal(409, f"Conflict: {what}")


def blocked() -> Refusal:
    return Refusal(403, "Forbidden: bot was blocked by the user")


def too_many(retry_after: int) -> Refusal:
    return Refusal(429, f"Too Many Requests: retry after {retry_after}", retry_after)
