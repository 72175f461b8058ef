"""The people who use the bot."""

import itertools
from typing import Any

from tests.support.telegram.chats import GENERAL, SENDER, Chats, user
from tests.support.telegram.refusal import Refusal
from tests.support.telegram.updates import Bell, Updates


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
        chat = self.chats.add(chat_id, chat_type, username)
        if chat_id in self.chats.topics:
            chat["is_forum"] = True
        return chat

    def refuses(self, chat_id: int, refusal: Refusal) -> None:
        """From now on the bot gets this for all that it sends there, until `becomes`."""
        self.chats.refusals[chat_id] = refusal

    def becomes(self, chat_id: int, status: str, **rights: bool) -> None:
        """The bot's standing in a chat changes, and Telegram says so. Where it may write by this
        status and these rights, what it sends is taken again.
        """
        chat = self.chats.chats[chat_id]
        may = status in ("member", "administrator") or rights.get("can_send_messages", False)
        if may and rights.get("can_post_messages", True):
            self.chats.blocked.discard(chat_id)
            self.chats.refusals.pop(chat_id, None)
        change = {
            "chat": chat,
            "from": user(abs(chat_id), "en", None),
            "date": self.chats.now,
            "old_chat_member": {"user": SENDER, "status": "left"},
            "new_chat_member": {"user": SENDER, "status": status, **rights},
        }
        self.updates.add("my_chat_member", change)

    def has_topics(self, chat_id: int, *topics: int) -> None:
        """The group is one with topics: these, and General."""
        self.chats.chats[chat_id]["is_forum"] = True
        self.chats.topics[chat_id] = {*topics}

    def closes(self, chat_id: int, topic: int = GENERAL) -> None:
        self.chats.closed.add((chat_id, topic))

    def reopens(self, chat_id: int, topic: int = GENERAL) -> None:
        """And says so in the topic."""
        self.chats.closed.discard((chat_id, topic))
        where = None if topic == GENERAL else topic
        message = self.chats.write(
            self.chats.chats[chat_id], user(77, "en", None), topic=where, forum_topic_reopened={}
        )
        self.updates.add("message", message)

    def posts(self, chat_id: int, text: str) -> dict[str, Any]:
        """A channel writes."""
        message = self.chats.write(self.chats.chats[chat_id], None, text=text)
        self.updates.add("channel_post", message)
        return message

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
        topic: int | None = None,
        ago: float = 0,
        anonymous: bool = False,
    ) -> dict[str, Any]:
        """A user writes; returns the Message. `user_id`: who, in a group; else the chat's id.
        `ago`: so many seconds before now. `anonymous`: an administrator, as the group.
        """
        chat = self.knows(chat_id, chat_type, username if chat_type == "private" else None)
        author = None if anonymous else user(user_id or abs(chat_id), language_code, username)
        length = len(text.split(maxsplit=1)[0]) if text.startswith("/") else 0
        entities = [{"type": "bot_command", "offset": 0, "length": length}] if length else None
        date = int(self.chats.now - ago)
        message = self.chats.write(
            chat, author, topic=topic, date=date, text=text, entities=entities
        )
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
        lapsed: bool = False,
    ) -> str:
        """A user presses a button under a message; returns the id of the callback query. Neither
        the message nor the button need to exist: it may be an old or a forged one. `lapsed`: so
        long ago that Telegram takes no answer any more.
        """
        id = str(next(self._callback_ids))
        if not lapsed:
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
