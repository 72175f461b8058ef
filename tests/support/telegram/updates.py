"""Delivers updates to the bot: by getUpdates, or by POST if a webhook is set."""

import asyncio
import itertools
import json
import re
import time
from typing import Any

import httpx

from tests.support.telegram.errors import bad_request, conflict

POLL_SECONDS_MAX = 50
POST_SECONDS = 10
RETRY_SECONDS = 0.2
SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")
OTHER_POLL = (
    "terminated by other getUpdates request; make sure that only one bot instance is running"
)
WEBHOOK_ACTIVE = (
    "can't use getUpdates method while webhook is active; "
    "use deleteWebhook to delete the webhook first"
)


class ChangeSignal:
    """Wakes all waiting tasks. `notify` may be called from any thread."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._event = asyncio.Event()

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def notify(self) -> None:
        if self._loop:
            self._loop.call_soon_threadsafe(self._notify)

    def _notify(self) -> None:
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self) -> None:
        await self._event.wait()


class Updates:
    """`pending`: Update objects that the bot has not confirmed, oldest first."""

    def __init__(self, changes: ChangeSignal) -> None:
        self.pending: list[dict[str, Any]] = []
        self.url = self.secret = ""
        self.allowed: list[str] = []
        self.last_error: dict[str, Any] = {}
        self._ids = itertools.count(700_000_001)
        self._changes = changes
        self._poll: object | None = None
        self._conflict = OTHER_POLL
        self._posting: asyncio.Task[None] | None = None

    def add(self, kind: str, value: dict[str, Any]) -> None:
        """`kind`: "message", "callback_query" and so on."""
        if not self.allowed or kind in self.allowed:
            self.pending.append({"update_id": next(self._ids), kind: value})
            self._changes.notify()

    async def poll(self, parameters: dict[str, str]) -> list[dict[str, Any]]:
        """Return pending updates, as getUpdates. Wait up to `timeout` seconds if there are none."""
        if self.url:
            raise conflict(WEBHOOK_ACTIVE)
        this_poll = self._take_over(OTHER_POLL)
        self._allow(parameters)
        self._confirm(int(parameters.get("offset") or 0))
        try:
            async with asyncio.timeout(min(int(parameters.get("timeout") or 0), POLL_SECONDS_MAX)):
                while not self.pending:
                    await self._changes.wait()
                    if self._poll is not this_poll:
                        raise conflict(self._conflict)
        except TimeoutError:
            return []
        return self.pending[: int(parameters.get("limit") or 100)]

    async def set_webhook(self, parameters: dict[str, str]) -> bool:
        url, secret = parameters.get("url", ""), parameters.get("secret_token", "")
        if secret and not SECRET.fullmatch(secret):
            raise bad_request("secret token contains unallowed characters")
        if url and not url.startswith(("http://127.0.0.1", "http://localhost", "https://")):
            raise bad_request("bad webhook: An HTTPS URL must be provided for webhook")
        await self.stop()
        if url:
            self._take_over("terminated by setWebhook request")
        self._allow(parameters)
        if parameters.get("drop_pending_updates", "").lower() == "true":
            self.pending.clear()
        self.url, self.secret, self.last_error = url, secret, {}
        if url:
            self._posting = asyncio.create_task(self._post(), name="webhook")
        return True

    async def stop(self) -> None:
        if self._posting:
            self._posting.cancel()
            await asyncio.wait([self._posting])
            if not self._posting.cancelled():
                self._posting.result()
        self._posting = None

    @property
    def webhook_info(self) -> dict[str, Any]:
        return {
            "url": self.url,
            "has_custom_certificate": False,
            "pending_update_count": len(self.pending),
            **({"allowed_updates": self.allowed} if self.allowed else {}),
            **self.last_error,
        }

    def _allow(self, parameters: dict[str, str]) -> None:
        if "allowed_updates" in parameters:
            self.allowed = json.loads(parameters["allowed_updates"])

    def _take_over(self, reason: str) -> object:
        """End the running poll with a conflict. Return the identity of the new one."""
        self._poll, self._conflict = object(), reason
        self._changes.notify()
        return self._poll

    def _confirm(self, offset: int) -> None:
        if offset < 0:
            del self.pending[:offset]
        while self.pending and self.pending[0]["update_id"] < offset:
            del self.pending[0]

    async def _post(self) -> None:
        """Send updates one at a time. Repeat an update until the response is 2xx."""
        headers = {"X-Telegram-Bot-Api-Secret-Token": self.secret} if self.secret else {}
        async with httpx.AsyncClient(
            headers=headers, timeout=POST_SECONDS, verify=False, trust_env=False
        ) as client:
            while True:
                while not self.pending:
                    await self._changes.wait()
                update = self.pending[0]
                try:
                    (await client.post(self.url, json=update)).raise_for_status()
                except httpx.HTTPError as error:
                    message = f"Wrong response from the webhook: {error}"
                    self.last_error = {
                        "last_error_date": int(time.time()),
                        "last_error_message": message,
                    }
                    await asyncio.sleep(RETRY_SECONDS)
                else:
                    self._confirm(update["update_id"] + 1)
                    self._changes.notify()
