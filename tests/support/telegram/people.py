"""The users of the bot, as a test drives them."""

import itertools
from typing import Any

from tests.support.telegram.chats import GENERAL, SENDER, Chats, user
from tests.support.telegram.errors import ApiError
from tests.support.telegram.updates import ChangeSignal, Updates


class People:
    """Actions of users. Thread-safe; may be called before the server starts."""

    def __init__(self) -> None:
        self.changes = ChangeSignal()
        self.updates = Updates(self.changes)
        self.chats = Chats()
        self.callbacks: dict[str, int] = {}  # the chat of each callback query not yet answered
        self._callback_ids = itertools.count(1)

    def knows(
        self, chat_id: int, chat_type: str = "private", username: str | None = None
    ) -> dict[str, Any]:
        """Add a chat that the bot may write to. No update is sent."""
        self.chats.blocked.discard(chat_id)
        chat = self.chats.add(chat_id, chat_type, username)
        if chat_id in self.chats.topics:
            chat["is_forum"] = True
        return chat

    def refuses(self, chat_id: int, error: ApiError) -> None:
        """Respond with this error to every message to the chat, until `becomes`."""
        self.chats.errors[chat_id] = error

    def becomes(self, chat_id: int, status: str, **rights: bool) -> None:
        """Change the bot's member status in a chat, and send an update. If the new status and
        rights let it write, its messages are accepted again.
        """
        chat = self.chats.chats[chat_id]
        may = status in ("member", "administrator") or rights.get("can_send_messages", False)
        if may and rights.get("can_post_messages", True):
            self.chats.blocked.discard(chat_id)
            self.chats.errors.pop(chat_id, None)
        change = {
            "chat": chat,
            "from": user(abs(chat_id), "en", None),
            "date": self.chats.now,
            "old_chat_member": {"user": SENDER, "status": "left"},
            "new_chat_member": {"user": SENDER, "status": status, **rights},
        }
        self.updates.add("my_chat_member", change)

    def has_topics(self, chat_id: int, *topics: int) -> None:
        """Make the group a forum with these topics and General."""
        self.chats.chats[chat_id]["is_forum"] = True
        self.chats.topics[chat_id] = {*topics}

    def closes(self, chat_id: int, topic: int = GENERAL) -> None:
        self.chats.closed.add((chat_id, topic))

    def reopens(self, chat_id: int, topic: int = GENERAL) -> None:
        """Reopen a topic, with a service message in it."""
        self.chats.closed.discard((chat_id, topic))
        where = None if topic == GENERAL else topic
        message = self.chats.write(
            self.chats.chats[chat_id], user(77, "en", None), topic=where, forum_topic_reopened={}
        )
        self.updates.add("message", message)

    def posts(self, chat_id: int, text: str) -> dict[str, Any]:
        """Post a message in a channel."""
        message = self.chats.write(self.chats.chats[chat_id], None, text=text)
        self.updates.add("channel_post", message)
        return message

    def blocks(self, chat_id: int) -> None:
        """Respond with 403 to the bot in this chat, until the user writes."""
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
        """Send a message as a user; return the Message. `user_id`: the author, in a group; the
        default is the chat's id. `ago`: seconds before now. `anonymous`: from an administrator who
        writes as the group.
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
        """Turn a group into a supergroup, with a service message."""
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
        """Press a button under a message as a user; return the id of the callback query. Neither
        the message nor the button need to exist: the query may be old or forged. `lapsed`: so old
        that Telegram accepts no answer.
        """
        id = str(next(self._callback_ids))
        if not lapsed:
            self.callbacks[id] = chat_id
        inaccessible = {"chat": self.chats.chats[chat_id], "message_id": message_id, "date": 0}
        query = {
            "id": id,
            "from": user(user_id or abs(chat_id), language_code, username),
            "message": self.chats.messages.get((chat_id, message_id), inaccessible),
            "chat_instance": str(chat_id),
            "data": data,
        }
        self.updates.add("callback_query", query)
        return id
