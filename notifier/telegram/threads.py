"""Threads of a chat: topics of groups, and of private chats with the bot."""

from dataclasses import dataclass
from typing import Any, Self

from telebot.types import InaccessibleMessage, Message

SEPARATOR = ":"
# Every group with topics has this topic. Its id must be omitted in requests.
GENERAL = 1


@dataclass(frozen=True, slots=True)
class Thread:
    """`chat`: its id or `@name`. `topic`: None for General and for chats without topics. `sender`:
    the person who wrote a direct message to a channel.
    """

    chat: str
    topic: int | None = None
    sender: int | None = None

    @classmethod
    def of(cls, message: Message | InaccessibleMessage) -> Self:
        """Return the thread of a message. An inaccessible message has no topic."""
        # Replies also have a thread id in groups without topics.
        is_topic = getattr(message, "is_topic_message", None)
        topic = getattr(message, "message_thread_id", None) if is_topic else None
        direct = getattr(message, "direct_messages_topic", None)
        return cls(str(message.chat.id), topic, direct.topic_id if direct else None)

    @classmethod
    def at(cls, address: str) -> Self:
        """Parse `-1001234:57` or `-1001234`."""
        chat, _, topic = address.partition(SEPARATOR)
        return cls(chat, int(topic) if topic and int(topic) != GENERAL else None)

    @property
    def address(self) -> str:
        return f"{self.chat}{SEPARATOR}{self.topic}" if self.topic else self.chat

    @property
    def options(self) -> dict[str, Any]:
        """Arguments of a message to this thread."""
        return {"message_thread_id": self.topic, "direct_messages_topic_id": self.sender}
