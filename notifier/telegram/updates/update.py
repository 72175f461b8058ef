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
    def chat(self) -> int | None:
        """The chat id: updates of one chat are handled in order. None if there is none."""
        message = (
            _part(self.raw, "message")
            or _part(self.raw, "channel_post")
            or _part(self.raw, "my_chat_member")
            or _part(_part(self.raw, "callback_query"), "message")
        )
        id = _part(message, "chat").get("id")
        return id if isinstance(id, int) else None


def _part(values: dict[str, Any], key: str) -> dict[str, Any]:
    """Return an object of an update. Empty if there is none, or if it is anything else."""
    found = values.get(key)
    return found if isinstance(found, dict) else {}
