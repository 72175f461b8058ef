"""A stand-in for Telegram's Bot API (core.telegram.org/bots/api) on loopback.

In a test: `async with BotApi() as api`, or `with BotApi() as api` without an event loop. As a
process: `python -m tests.alerts.bot_api --port 8081 --log arrived.jsonl --chat 5`.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import asdict, dataclass, replace
from inspect import isawaitable
from pathlib import Path
from typing import Any, TextIO

from tests.support.telegram.errors import ApiError, too_many
from tests.support.telegram.faults import SENDS, Fault, FaultInjected, Faults
from tests.support.telegram.http import Request, Response, ok
from tests.support.telegram.limits import Limits, Violation
from tests.support.telegram.methods import METHODS, NAMES, Call
from tests.support.telegram.people import People
from tests.support.telegram.server import Server
from tests.support.waiting import WAIT_SECONDS

TOKEN = "123456:a-token-for-tests"


@dataclass(frozen=True)
class Sent:
    """An accepted message, edit or answer to a press. `text`: what the user reads, without tags;
    `parameters`: all parameters of the call, unchanged; `at`: time.monotonic() in seconds;
    `message_id`: 0 for an answer to a press.
    """

    method: str
    chat_id: int
    text: str
    parameters: dict[str, str]
    at: float
    message_id: int


class BotApi(People, Server):
    """The stand-in. `port`: 0 means a free port. `limits`: True enforces Telegram's rate limits.
    `log`: gets one JSON line, a `Sent`, for each accepted call, before the response is sent.
    """

    def __init__(
        self,
        token: str = TOKEN,
        *,
        port: int = 0,
        limits: bool | Limits = False,
        log: Path | None = None,
    ) -> None:
        People.__init__(self)
        Server.__init__(self, port)
        self.token = token
        self.limits = limits if isinstance(limits, Limits) else Limits(enforced=limits)
        self.faults = Faults()
        self.sent: list[Sent] = []
        self.calls: Counter[str] = Counter()  # including refused calls
        self.commands: dict[str, list[dict[str, str]]] = {}  # by language_code, "" = default
        self.dated = True  # send a Date header, as Telegram does and a self-hosted server does not
        self._log_path = log
        self._log: TextIO | None = None

    @property
    def template(self) -> str:
        """URL template for telebot's `asyncio_helper.API_URL` and `apihelper.API_URL`."""
        return self.url + "/bot{0}/{1}"

    @property
    def violations(self) -> list[Violation]:
        return self.limits.violations

    async def start(self) -> None:
        self.changes.attach(asyncio.get_running_loop())
        if self._log_path:
            self._log = self._log_path.open("a")
        await super().start()

    async def stop(self) -> None:
        try:
            await self.updates.stop()
            await super().stop()
        finally:
            if self._log:
                self._log.close()

    async def until(self, predicate: Callable[[], bool], seconds: float = WAIT_SECONDS) -> None:
        """Return once the predicate holds. It is evaluated again after every change here."""
        try:
            async with asyncio.timeout(seconds):
                while not predicate():
                    await self.changes.wait()
        except TimeoutError:
            texts = [(sent.chat_id, sent.method, sent.text) for sent in self.sent[-10:]]
            raise AssertionError(
                f"Not within {seconds} s. Calls: {dict(self.calls)}; the last that were accepted: "
                f"{texts}; updates not confirmed: {len(self.updates.pending)}"
            ) from None

    def messages(self, chat_id: int | None = None) -> list[Sent]:
        """Return the accepted messages, without edits and answers to presses."""
        return [s for s in self.sent if s.method in SENDS and chat_id in (None, s.chat_id)]

    def misbehave(
        self, *faults: Fault, chat_id: int | None = None, methods: Collection[str] = SENDS
    ) -> None:
        """Apply these faults to the next calls of these methods, one each, in this chat or in all.
        `WELL` lets one call pass. A call with invalid parameters uses up no fault.
        """
        self.faults.add(faults, chat_id, methods)

    def mix(
        self,
        weights: Mapping[Fault, float],
        seed: int,
        chat_id: int | None = None,
        methods: Collection[str] = SENDS,
    ) -> None:
        """Apply to each call a fault with its probability. The rest up to 1 succeeds."""
        self.faults.mix(weights, seed, chat_id, methods)

    def behave(self) -> None:
        """Remove all faults."""
        self.faults.clear()

    async def handle(self, request: Request) -> Response:
        head, _, name = request.path.removeprefix("/").partition("/")
        method = NAMES.get(name.lower())
        if head != f"bot{self.token}":
            return ApiError(401, "Unauthorized").response
        if method is None:
            return ApiError(404, "Not Found").response
        self.calls[method] += 1
        answer = await self._call_method(Call(self, method, request.parameters))
        self.changes.notify()
        return replace(answer, date=self.chats.now) if self.dated else answer

    async def _call_method(self, call: Call) -> Response:
        try:
            result: Awaitable[Any] | Any = METHODS[call.method](call)
            answer = ok(await result if isawaitable(result) else result)
        except ApiError as error:
            return error.response
        except FaultInjected as injected:
            answer = injected.fault.error.response if injected.fault.error else ok(None)
        self.changes.notify()
        return await call.fault.distort(answer)

    def admit(self, method: str, chat_id: int | None) -> Fault:
        """Return the fault for this call. Raises ApiError if the call exceeds a rate limit."""
        now = time.monotonic()
        if (
            chat_id is not None
            and method in SENDS
            and (violation := self.limits.check(chat_id, now))
        ):
            raise too_many(violation.retry_after)
        fault = self.faults.take(method, chat_id)
        if chat_id is not None and fault.error and fault.error.retry_after:
            self.limits.record_retry_after(chat_id, fault.error.retry_after, now)
        return fault

    def record(self, call: Call, message: dict[str, Any], text: str) -> None:
        chat_id, message_id = message["chat"]["id"], message.get("message_id", 0)
        now = time.monotonic()
        if call.method in SENDS:
            self.limits.spend(chat_id, now)
        sent = Sent(call.method, chat_id, text, call.parameters, now, message_id)
        if self._log:
            self._log.write(json.dumps(asdict(sent)) + "\n")
            self._log.flush()
        self.sent.append(sent)


if __name__ == "__main__":
    from tests.support.telegram.process import main

    main()
