"""An update on its way to what it means."""

import time
from dataclasses import dataclass, field
from typing import Any

# Within so many seconds a press is dealt with as one that has just been made.
FRESH_SECONDS = 10.0


@dataclass
class ReceivedUpdate:
    """`prompt`: Telegram brought the update as soon as it had it. `answered`: a press that Telegram
    was told of, and that it had not given up.
    """

    raw: dict[str, Any]
    prompt: bool
    answered: bool = False
    at: float = field(default_factory=time.monotonic)

    @property
    def fresh(self) -> bool:
        return self.answered or (self.prompt and time.monotonic() - self.at < FRESH_SECONDS)

    @property
    def chat(self) -> object:
        """Whose turn it is."""
        about: dict[str, Any] = (
            self.raw.get("message")
            or self.raw.get("channel_post")
            or self.raw.get("my_chat_member")
            or (self.raw.get("callback_query") or {}).get("message")
            or {}
        )
        return about.get("chat", {}).get("id")
