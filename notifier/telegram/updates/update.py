"""An update as received from Telegram."""

import time
from dataclasses import dataclass, field
from typing import Any

# Seconds within which a received button press counts as just made.
FRESH_SECONDS = 10.0


@dataclass
class ReceivedUpdate:
    """`prompt`: Telegram sent the update as soon as it had it. `answered`: a button press that was
    confirmed to Telegram before it expired.
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
        """The chat id: updates of one chat are handled in order."""
        message: dict[str, Any] = (
            self.raw.get("message")
            or self.raw.get("channel_post")
            or self.raw.get("my_chat_member")
            or (self.raw.get("callback_query") or {}).get("message")
            or {}
        )
        return message.get("chat", {}).get("id")
