"""Sends alerts to another system by a signed POST."""

import hashlib
import hmac
import json
import time
from typing import Any

import aiohttp

from notifier.channels.channel import Message, RecipientGone, Refused, RetryLater, TemporaryFailure
from resolvers.feed.entries import AuditEvent

TIMEOUT_SECONDS = 15
MAX_WAIT_SECONDS = 3600


class WebhookChannel:
    """The body is JSON: `text`, and `events`, each with id, at, kind, actor, owner, deviceId,
    before, after.

    `X-Rollcall-Timestamp` is Unix time. `X-Rollcall-Signature` is `sha256=` and the hexadecimal
    HMAC-SHA-256 of timestamp, a dot and the body, with the secret as key.
    """

    name = "webhook"

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def pause(self, address: str) -> float:  # noqa: ARG002
        return 0

    async def send(self, address: str, message: Message) -> None:
        body = json.dumps(
            {"text": message.text, "events": [_to_json(event) for event in message.events]}
        ).encode()
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(
                    address, data=body, headers=self._headers(body), allow_redirects=False
                ) as response,
            ):
                _check(response.status, response.headers.get("Retry-After", ""))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise TemporaryFailure(f"it can't be reached ({type(error).__name__})") from error

    def _headers(self, body: bytes) -> dict[str, str]:
        timestamp = str(int(time.time()))
        signed = hmac.new(self._secret, timestamp.encode() + b"." + body, hashlib.sha256)
        return {
            "Content-Type": "application/json",
            "X-Rollcall-Timestamp": timestamp,
            "X-Rollcall-Signature": f"sha256={signed.hexdigest()}",
        }

    async def close(self) -> None:
        """No-op: each message opens its own connection."""


def _check(status: int, retry_after: str) -> None:
    if status in (429, 503) and retry_after.isascii() and retry_after.isdigit():
        raise RetryLater(min(int(retry_after), MAX_WAIT_SECONDS))
    if status == 410:  # noqa: PLR2004
        raise RecipientGone("it answered 410 Gone")
    if status == 429 or status >= 500:  # noqa: PLR2004
        raise TemporaryFailure(f"it answered {status}")
    if not 200 <= status < 300:  # noqa: PLR2004
        raise Refused(f"it answered {status}")


def _to_json(entry: AuditEvent) -> dict[str, Any]:
    event = entry.event
    return {
        "id": event.id,
        "at": event.at.isoformat(),
        "kind": event.kind,
        "actor": entry.actor,
        "owner": entry.owner,
        "deviceId": event.device_id,
        "before": entry.before,
        "after": entry.after,
    }
