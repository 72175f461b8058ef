"""Telegram's rate limits for a bot (core.telegram.org/bots/faq: "My bot is hitting limits")."""

import math
from collections import defaultdict, deque
from dataclasses import dataclass, field

# Allows for the delay between the sender's timestamp and this process's.
SLACK_SECONDS = 0.05


@dataclass(frozen=True)
class Violation:
    """`rule`: "overall", "chat", "group", or "retry_after" for a message before the time that a
    429 named. `at`: time.monotonic() in seconds. `early`: seconds too early.
    """

    rule: str
    chat_id: int
    at: float
    early: float

    @property
    def retry_after(self) -> int:
        return max(1, math.ceil(self.early))


@dataclass
class Window:
    """At most `count` in any `seconds`."""

    count: int
    seconds: float
    times: deque[float] = field(default_factory=deque)

    def early(self, now: float) -> float:
        """Return the seconds until one more is allowed; 0 or less if it is allowed now."""
        while self.times and self.times[0] <= now - self.seconds:
            self.times.popleft()
        if len(self.times) < self.count:
            return 0
        return self.times[-self.count] + self.seconds - now

    def spend(self, now: float) -> None:
        self.times.append(now)


@dataclass
class Bucket:
    """A token bucket: one more every `seconds`, and a burst of `count` after a pause."""

    count: int
    seconds: float
    empty_until: float = 0

    def early(self, now: float) -> float:
        return self.empty_until - now - (self.count - 1) * self.seconds

    def spend(self, now: float) -> None:
        self.empty_until = max(now, self.empty_until) + self.seconds


@dataclass
class Limits:
    """Counts accepted messages. With enforced=False nothing is rejected and only ignored
    retry_after times are recorded.
    """

    enforced: bool = True
    overall: int = 30
    chat_burst: int = 3
    chat_seconds: float = 1
    group: int = 20
    group_seconds: float = 60
    violations: list[Violation] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._overall = Window(self.overall, 1)
        self._chats: dict[int, Window | Bucket] = {}
        self._waits: dict[int, float] = defaultdict(float)

    def record_retry_after(self, chat_id: int, seconds: float, now: float) -> None:
        self._waits[chat_id] = max(self._waits[chat_id], now + seconds)

    def check(self, chat_id: int, now: float) -> Violation | None:
        """Record the rule that a message to this chat breaks. Return it if limits are enforced."""
        early = {"retry_after": self._waits[chat_id] - now}
        if self.enforced:
            early["overall"] = self._overall.early(now)
            early["group" if chat_id < 0 else "chat"] = self._chat(chat_id).early(now)
        rule = max(early, key=early.__getitem__)
        if early[rule] <= SLACK_SECONDS:
            return None
        violation = Violation(rule, chat_id, now, early[rule])
        self.violations.append(violation)
        if not self.enforced:
            return None
        self.record_retry_after(chat_id, violation.retry_after, now)
        return violation

    def spend(self, chat_id: int, now: float) -> None:
        self._overall.spend(now)
        self._chat(chat_id).spend(now)

    def _chat(self, chat_id: int) -> Window | Bucket:
        if chat_id not in self._chats:
            self._chats[chat_id] = (
                Window(self.group, self.group_seconds)
                if chat_id < 0
                else Bucket(self.chat_burst, self.chat_seconds)
            )
        return self._chats[chat_id]
