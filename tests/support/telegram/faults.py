"""Faults that a test injects into the fake Bot API."""

import asyncio
import random
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from tests.support.telegram import errors
from tests.support.telegram.errors import ApiError
from tests.support.telegram.http import DROPPED, Response

SENDS = frozenset({"sendMessage", "sendLocation"})
GATEWAY = (
    b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>502</body>\r\n</html>\r\n"
)


class Kind(StrEnum):
    """`slow` uses `seconds`; `too_many` uses it as retry_after. `migrated` takes the new chat's id
    from `description`.
    """

    WELL = "well"
    SLOW = "slow"
    HANG = "hang"
    HANG_AFTER = "hang_after"
    TOO_MANY = "too_many"
    BLOCKED = "blocked"
    BAD_REQUEST = "bad_request"
    BAD_GATEWAY = "bad_gateway"
    DROP_BEFORE = "drop_before"
    DROP_AFTER = "drop_after"
    TRUNCATED = "truncated"
    MIGRATED = "migrated"


ACCEPTING = {Kind.WELL, Kind.SLOW, Kind.HANG_AFTER, Kind.DROP_AFTER, Kind.TRUNCATED}


@dataclass(frozen=True)
class Fault:
    kind: str
    seconds: float = 0
    description: str = ""

    @property
    def accepts(self) -> bool:
        """True if Telegram accepts the message in spite of the fault."""
        return self.kind in ACCEPTING

    async def distort(self, response: Response) -> Response:
        match self.kind:
            case Kind.SLOW:
                await asyncio.sleep(self.seconds)
            case Kind.HANG | Kind.HANG_AFTER:
                await asyncio.Event().wait()
            case Kind.DROP_BEFORE | Kind.DROP_AFTER:
                return DROPPED
            case Kind.TRUNCATED:
                return replace(response, body=response.body[: len(response.body) // 2])
            case Kind.BAD_GATEWAY:
                return Response(502, GATEWAY, "text/html")
        return response

    @property
    def error(self) -> ApiError | None:
        match self.kind:
            case Kind.TOO_MANY:
                return errors.too_many(int(self.seconds))
            case Kind.MIGRATED:
                return errors.migrated(int(self.description))
            case Kind.BLOCKED:
                return errors.blocked()
            case Kind.BAD_REQUEST:
                return errors.bad_request(self.description or "message can't be sent")
        return None


WELL = Fault(Kind.WELL)
HANG = Fault(Kind.HANG)
HANG_AFTER = Fault(Kind.HANG_AFTER)
BLOCKED = Fault(Kind.BLOCKED)
BAD_REQUEST = Fault(Kind.BAD_REQUEST)
BAD_GATEWAY = Fault(Kind.BAD_GATEWAY)
DROP_BEFORE = Fault(Kind.DROP_BEFORE)
DROP_AFTER = Fault(Kind.DROP_AFTER)
TRUNCATED = Fault(Kind.TRUNCATED)


def slow(seconds: float) -> Fault:
    """Accept the message at once and respond `seconds` later."""
    return Fault(Kind.SLOW, seconds)


def too_many(retry_after: int) -> Fault:
    """`retry_after`: seconds."""
    return Fault(Kind.TOO_MANY, retry_after)


def migrated(chat_id: int) -> Fault:
    """Respond that the group has become a supergroup with this id."""
    return Fault(Kind.MIGRATED, description=str(chat_id))


class FaultInjected(Exception):
    """Ends a call before its action, because of a fault."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.kind)
        self.fault = fault


@dataclass(frozen=True)
class _For:
    chat_id: int | None
    methods: Collection[str]

    def matches(self, method: str, chat_id: int | None) -> bool:
        return method in self.methods and self.chat_id in (None, chat_id)


@dataclass
class Faults:
    """Queued faults are used first, in order; then the most recent matching mix."""

    queue: deque[tuple[_For, Fault]] = field(default_factory=deque)
    mixes: list[tuple[_For, Mapping[Fault, float], random.Random]] = field(default_factory=list)

    def add(self, faults: Collection[Fault], chat_id: int | None, methods: Collection[str]) -> None:
        self.queue.extend((_For(chat_id, methods), fault) for fault in faults)

    def mix(
        self,
        weights: Mapping[Fault, float],
        seed: int,
        chat_id: int | None,
        methods: Collection[str],
    ) -> None:
        self.mixes.insert(0, (_For(chat_id, methods), weights, random.Random(seed)))

    def take(self, method: str, chat_id: int | None) -> Fault:
        for entry in self.queue:
            if entry[0].matches(method, chat_id):
                self.queue.remove(entry)
                return entry[1]
        for target, weights, generator in self.mixes:
            if target.matches(method, chat_id):
                well = max(0.0, 1 - sum(weights.values()))
                return generator.choices([*weights, WELL], [*weights.values(), well])[0]
        return WELL

    def clear(self) -> None:
        self.queue.clear()
        self.mixes.clear()
