"""A simulated user who talks to the bot."""

import json
import re
from dataclasses import dataclass
from typing import Any

from tests.alerts.bot_api import BotApi, Sent

# Alerts end with the numbers of their events.
ALERT = re.compile(r"\n#\d+.*$")


@dataclass
class Phone:
    """One chat and the user who writes in it."""

    telegram: BotApi
    chat: int
    language: str = "en"
    kind: str = "private"
    user: int | None = None
    topic: int | None = None

    async def says(self, text: str, answers: int = 1) -> str:
        """Send a message, wait for that many replies, and return the text of the last one."""
        before = len(self.replies)
        self.telegram.says(
            self.chat, text, self.language, self.kind, user_id=self.user, topic=self.topic
        )
        await self.telegram.until(lambda: len(self.replies) >= before + answers)
        return self.replies[-1].text

    async def presses(self, label: str) -> str:
        """Press the last button with this label.

        Return the texts that the bot sent for it: messages, edits, and the answer to the press.
        """
        sent, data = self.find(label)
        return await self.presses_data(data, sent.message_id)

    async def presses_data(self, data: str, message_id: int = 1) -> str:
        """Press a button by its callback data. Alerts that arrive meanwhile are left out.

        The bot answers the press itself last, so all its texts are there by then.
        """
        before = len(self.all)
        language, user = self.language, self.user
        press = self.telegram.presses(self.chat, message_id, data, language, user_id=user)
        await self.telegram.until(lambda: press not in self.telegram.callbacks)
        alert_ids = [id(sent) for sent in self.alerts]
        texts = [s.text for s in self.all[before:] if s.text and id(s) not in alert_ids]
        return "\n".join(texts)

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
    def replies(self) -> list[Sent]:
        return [sent for sent in self.telegram.messages(self.chat) if not ALERT.search(sent.text)]

    @property
    def alerts(self) -> list[Sent]:
        return [sent for sent in self.telegram.messages(self.chat) if ALERT.search(sent.text)]

    @property
    def labels(self) -> list[str]:
        """Labels of all buttons under the last message or edit that has buttons."""
        rows = next(filter(None, (buttons(sent) for sent in reversed(self.all))), [])
        return [button["text"] for row in rows for button in row]


def buttons(sent: Sent) -> list[list[dict[str, Any]]]:
    markup = sent.parameters.get("reply_markup")
    found: list[list[dict[str, Any]]] = json.loads(markup)["inline_keyboard"] if markup else []
    return found
