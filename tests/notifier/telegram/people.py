"""The people who use the bot."""

import itertools
from typing import Any

from tests.notifier.telegram.chats import Chats, user
from tests.notifier.telegram.updates import Bell, Updates


class People:
    """What a test lets users do. May be called from any thread, and before the server starts."""

    def __init__(self) -> None:
        self.bell = Bell()
        self.updates = Updates(self.bell)
        self.chats = Chats()
        self.callbacks: dict[str, int] = {}  # the chat of each press without an answer
        self._callback_ids = itertools.count(1)

    def knows(
        self, chat_id: int, chat_type: str = "private", username: str | None = None
    ) -> dict[str, Any]:
        """Makes a chat known, that the bot may write to it: without an update."""
        self.chats.blocked.discard(chat_id)
        return self.chats.add(chat_id, chat_type, username)

    def blocks(self, chat_id: int) -> None:
        """From now on the bot gets 403 in this chat, until the user says something."""
        self.chats.blocked.add(chat_id)

    def says(
        self,
        chat_id: int,
        text: str,
        language_code: str | None = "en",
        chat_type: str = "private",
        *,
        username: str | None = None,
        user_id: int | None = None,
    ) -> dict[str, Any]:
        """A user writes; returns the Message. `user_id`: who, in a group; else the chat's id."""
        chat = self.knows(chat_id, chat_type, username if chat_type == "private" else None)
        author = user(user_id or abs(chat_id), language_code, username)
        length = len(text.split(maxsplit=1)[0]) if text.startswith("/") else 0
        entities = [{"type": "bot_command", "offset": 0, "length": length}] if length else None
        message = self.chats.write(chat, author, text=text, entities=entities)
        self.updates.add("message", message)
        return message

    def moves(self, chat_id: int, to: int) -> None:
        """A group becomes a supergroup, and says so."""
        message = self.chats.write(
            self.chats.chats[chat_id], user(77, "en", None), migrate_to_chat_id=to
        )
        self.updates.add("message", message)

    def presses(
        self,
        chat_id: int,
        message_id: int,
        data: str,
        language_code: str | None = "en",
        *,
        username: str | None = None,
        user_id: int | None = None,
    ) -> str:
        """A user presses a button under a message; returns the id of the callback query. Neither
        the message nor the button need to exist: it may be an old or a forged one.
        """
        id = str(next(self._callback_ids))
        self.callbacks[id] = chat_id
        gone = {"chat": self.chats.chats[chat_id], "message_id": message_id, "date": 0}
        query = {
            "id": id,
            "from": user(user_id or abs(chat_id), language_code, username),
            "message": self.chats.messages.get((chat_id, message_id), gone),
            "chat_instance": str(chat_id),
            "data": data,
        }
        self.updates.add("callback_query", query)
        return id
