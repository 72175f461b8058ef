"""A stand-in for Telegram's Bot API (core.telegram.org/bots/api) on loopback.

In a test: `async with BotApi() as api`, or `with BotApi() as api` where there's no event loop. As a
process of its own: `python -m tests.alerts.bot_api --port 8081 --log arrived.jsonl --chat 5`.
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

from tests.support.telegram.faults import SENDS, Fault, Faults, Struck
from tests.support.telegram.limits import Limits, Violation
from tests.support.telegram.methods import METHODS, NAMES, Call
from tests.support.telegram.people import People
from tests.support.telegram.refusal import Refusal, too_many
from tests.support.telegram.server import Server
from tests.support.telegram.wire import Answer, Request, ok
from tests.support.waiting import WAIT_SECONDS

TOKEN = "123456:a-token-for-tests"


@dataclass(frozen=True)
class Sent:
    """An accepted message, edit or answer to a press. `text`: what the user reads, without tags;
    `parameters`: all of the call, as they came; `at`: time.monotonic() in seconds; `message_id`: 0
    for an answer to a press.
    """

    method: str
    chat_id: int
    text: str
    parameters: dict[str, str]
    at: float
    message_id: int


class BotApi(People, Server):
    """`port`: 0 takes a free one. `limits`: True enforces Telegram's. `log`: gets one JSON line, a
    `Sent`, for each accepted call, before it is answered.
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
        self.calls: Counter[str] = Counter()  # all, the refused too
        self.commands: dict[str, list[dict[str, str]]] = {}  # by language_code, "" for the rest
        self.dated = True  # as Telegram does; a Bot API server of one's own does not
        self._log_path = log
        self._log: TextIO | None = None

    @property
    def template(self) -> str:
        """For `telebot.asyncio_helper.API_URL` and `telebot.apihelper.API_URL`."""
        return self.url + "/bot{0}/{1}"

    @property
    def violations(self) -> list[Violation]:
        return self.limits.violations

    async def start(self) -> None:
        self.bell.hang_up_in(asyncio.get_running_loop())
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
        """Returns once the predicate holds; it's asked again whenever something changed here."""
        try:
            async with asyncio.timeout(seconds):
                while not predicate():
                    await self.bell.heard()
        except TimeoutError:
            texts = [(sent.chat_id, sent.method, sent.text) for sent in self.sent[-10:]]
            raise AssertionError(
                f"Not within {seconds} s. Calls: {dict(self.calls)}; the last that were accepted: "
                f"{texts}; updates not confirmed: {len(self.updates.pending)}"
            ) from None

    def messages(self, chat_id: int | None = None) -> list[Sent]:
        """The accepted messages, without edits and answers."""
        return [s for s in self.sent if s.method in SENDS and chat_id in (None, s.chat_id)]

    def misbehave(
        self, *faults: Fault, chat_id: int | None = None, methods: Collection[str] = SENDS
    ) -> None:
        """The next calls of these methods, in this chat or in all, meet these faults, one each.
        `WELL` lets one pass. A call that is refused for what it says uses none up.
        """
        self.faults.add(faults, chat_id, methods)

    def mix(
        self,
        weights: Mapping[Fault, float],
        seed: int,
        chat_id: int | None = None,
        methods: Collection[str] = SENDS,
    ) -> None:
        """Each call meets a fault with its probability; what is missing to 1 goes well."""
        self.faults.mix(weights, seed, chat_id, methods)

    def behave(self) -> None:
        """Forgets all faults that were asked for."""
        self.faults.clear()

    async def handle(self, request: Request) -> Answer:
        head, _, name = request.path.removeprefix("/").partition("/")
        method = NAMES.get(name.lower())
        if head != f"bot{self.token}":
            return Refusal(401, "Unauthorized").answer
        if method is None:
            return Refusal(404, "Not Found").answer
        self.calls[method] += 1
        answer = await self._called(Call(self, method, request.parameters))
        self.bell.ring()
        return replace(answer, date=self.chats.now) if self.dated else answer

    async def _called(self, call: Call) -> Answer:
        try:
            result: Awaitable[Any] | Any = METHODS[call.method](call)
            answer = ok(await result if isawaitable(result) else result)
        except Refusal as refusal:
            return refusal.answer
        except Struck as struck:
            answer = struck.fault.refusal.answer if struck.fault.refusal else ok(None)
        self.bell.ring()
        return await call.fault.distort(answer)

    def admit(self, method: str, chat_id: int | None) -> Fault:
        """The fault this call meets; a Refusal where it comes too fast."""
        now = time.monotonic()
        if chat_id is not None and method in SENDS and (late := self.limits.check(chat_id, now)):
            raise too_many(late.retry_after)
        fault = self.faults.take(method, chat_id)
        if chat_id is not None and fault.refusal and fault.refusal.retry_after:
            self.limits.told_to_wait(chat_id, fault.refusal.retry_after, now)
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
