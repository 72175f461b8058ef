"""A person at a phone, who talks to the bot."""

import json
import re
from dataclasses import dataclass
from typing import Any

from tests.alerts.bot_api import BotApi, Sent

# They end with the numbers of their events.
ALERT = re.compile(r"\n#\d+.*$")


@dataclass
class Phone:
    """One chat, with whoever writes there."""

    telegram: BotApi
    chat: int
    language: str = "en"
    kind: str = "private"
    user: int | None = None
    topic: int | None = None

    async def says(self, text: str, answers: int = 1) -> str:
        """Returns the last of so many answers."""
        before = len(self.heard)
        self.telegram.says(
            self.chat, text, self.language, self.kind, user_id=self.user, topic=self.topic
        )
        await self.telegram.until(lambda: len(self.heard) >= before + answers)
        return self.heard[-1].text

    async def presses(self, label: str) -> str:
        """The button with this label, under the last message that has it; returns what it brought:
        a message, an edit, or a word at the button.
        """
        sent, data = self.find(label)
        return await self.presses_data(data, sent.message_id)

    async def presses_data(self, data: str, message_id: int = 1) -> str:
        """The bot answers the press itself last; alerts that come meanwhile are not told."""
        before = len(self.all)
        language, user = self.language, self.user
        press = self.telegram.presses(self.chat, message_id, data, language, user_id=user)
        await self.telegram.until(lambda: press not in self.telegram.callbacks)
        alerts = [id(sent) for sent in self.told]
        words = [s.text for s in self.all[before:] if s.text and id(s) not in alerts]
        return "\n".join(words)

    def find(self, label: str) -> tuple[Sent, str]:
        for sent in reversed(self.all):
            for row in buttons(sent):
                for button in row:
                    if label in button["text"]:
                        return sent, button["callback_data"]
        raise AssertionError(f"No button {label!r} in {[buttons(sent) for sent in self.all]}")

    @property
    def all(self) -> list[Sent]:
        return [sent for sent in self.telegram.sent if sent.chat_id == self.chat]

    @property
    def heard(self) -> list[Sent]:
        """Answers."""
        return [sent for sent in self.telegram.messages(self.chat) if not ALERT.search(sent.text)]

    @property
    def told(self) -> list[Sent]:
        """Alerts."""
        return [sent for sent in self.telegram.messages(self.chat) if ALERT.search(sent.text)]

    @property
    def labels(self) -> list[str]:
        """Of all buttons under the last message or edit that has any."""
        rows = next(filter(None, (buttons(sent) for sent in reversed(self.all))), [])
        return [button["text"] for row in rows for button in row]


def buttons(sent: Sent) -> list[list[dict[str, Any]]]:
    markup = sent.parameters.get("reply_markup")
    found: list[list[dict[str, Any]]] = json.loads(markup)["inline_keyboard"] if markup else []
    return found
