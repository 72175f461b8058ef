"""The fake Telegram's Chat, User and Message objects, as dicts."""

import itertools
import time
from dataclasses import dataclass, field
from typing import Any

from tests.support.telegram.errors import ApiError, bad_request, blocked

GENERAL = 1

BOT = {
    "id": 123456,
    "is_bot": True,
    "first_name": "Rollcall",
    "username": "rollcall_test_bot",
    "can_join_groups": True,
    "can_read_all_group_messages": False,
    "supports_inline_queries": False,
}
SENDER = {name: BOT[name] for name in ("id", "is_bot", "first_name", "username")}


def user(id: int, language_code: str | None, username: str | None) -> dict[str, Any]:
    person: dict[str, Any] = {"id": id, "is_bot": False, "first_name": f"User {id}"}
    if username:
        person["username"] = username
    if language_code:
        person["language_code"] = language_code
    return person


@dataclass
class Chats:
    chats: dict[int, dict[str, Any]] = field(default_factory=dict)
    messages: dict[tuple[int, int], dict[str, Any]] = field(default_factory=dict)
    blocked: set[int] = field(default_factory=set)
    errors: dict[int, ApiError] = field(default_factory=dict)  # for every message to the chat
    topics: dict[int, set[int]] = field(default_factory=dict)  # only of groups with topics
    closed: set[tuple[int, int]] = field(default_factory=set)  # (chat, topic); 1 is General
    skew: float = 0  # seconds that Telegram's clock is ahead of this machine's
    _ids: itertools.count = field(default_factory=lambda: itertools.count(1))  # type: ignore[type-arg]

    def add(self, chat_id: int, chat_type: str, username: str | None) -> dict[str, Any]:
        """`chat_type`: private, group, supergroup or channel."""
        private = chat_type == "private"
        name = {"first_name": f"User {chat_id}"} if private else {"title": f"Chat {chat_id}"}
        chat = {"id": chat_id, "type": chat_type, **name}
        if username:
            chat["username"] = username
        self.chats[chat_id] = chat
        return chat

    def find(self, chat_id: str | None) -> dict[str, Any]:
        """Raises ApiError if the chat does not exist or has blocked the bot."""
        if not chat_id:
            raise bad_request("chat_id is empty")
        try:
            chat = self.chats[int(chat_id)]
        except (KeyError, ValueError):
            raise bad_request("chat not found") from None
        if chat["id"] in self.blocked:
            raise blocked()
        return chat

    def to_send(self, chat_id: str | None, topic: str | None) -> dict[str, Any]:
        """Raises ApiError if the bot can't send a message to this chat and topic."""
        chat = self.find(chat_id)
        id, number = chat["id"], int(topic or 0)
        if error := self.errors.get(id):
            raise error
        # Telegram rejects the number of General: a message there has no message_thread_id.
        if number and number not in self.topics.get(id, ()):
            raise bad_request("message thread not found")
        if id in self.topics and (id, number or GENERAL) in self.closed:
            raise bad_request("TOPIC_CLOSED")
        return chat

    @property
    def now(self) -> int:
        return int(time.time() + self.skew)

    def write(
        self,
        chat: dict[str, Any],
        sender: dict[str, Any] | None,
        *,
        topic: int | None = None,
        date: int | None = None,
        **content: Any,
    ) -> dict[str, Any]:
        """Add a message with a new, higher id. Content that is None is omitted. `sender` None: the
        chat itself is the sender.
        """
        author = {"from": sender} if sender else {"sender_chat": chat}
        thread = {"message_thread_id": topic, "is_topic_message": True} if topic else {}
        message = {
            "message_id": next(self._ids),
            **author,
            "chat": chat,
            "date": date or self.now,
            **thread,
            **{name: value for name, value in content.items() if value is not None},
        }
        self.messages[chat["id"], message["message_id"]] = message
        return message

    def own(self, chat: dict[str, Any], message_id: str | None) -> dict[str, Any]:
        """Return a message of the bot. Raises ApiError if it does not exist or is not the bot's."""
        if not (message_id or "").isdecimal():
            raise bad_request("message identifier is not specified")
        message = self.messages.get((chat["id"], int(message_id or 0)))
        if message is None:
            raise bad_request("message to edit not found")
        if message.get("from") is not SENDER:
            raise bad_request("message can't be edited")
        return message

    def edit(self, message: dict[str, Any], **content: Any) -> dict[str, Any]:
        if all(message.get(name) == value for name, value in content.items()):
            raise bad_request(
                "message is not modified: specified new message content and reply markup are "
                "exactly the same as a current content and reply markup of the message"
            )
        changed = {**message, **content, "edit_date": self.now}
        changed = {name: value for name, value in changed.items() if value is not None}
        self.messages[message["chat"]["id"], message["message_id"]] = changed
        return changed
