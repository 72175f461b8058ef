"""What an update says about whether the bot may write in a chat."""

from collections.abc import Mapping
from typing import Any

from telebot.types import Message

WRITERS = ("creator", "member", "administrator")
REOPENED = ("forum_topic_reopened", "forum_topic_created", "general_forum_topic_unhidden")


def may_write(changed: Mapping[str, Any]) -> bool:
    """By the bot's new status in a chat: a ChatMemberUpdated as it came, since the library knows
    only the kinds of members that there were when it was made.
    """
    bot, chat = changed["new_chat_member"], changed["chat"]
    if bot["status"] == "restricted":
        return bool(bot.get("is_member", True) and bot.get("can_send_messages"))
    if chat["type"] == "channel" and bot["status"] == "administrator":
        return bot.get("can_post_messages") is not False
    return bot["status"] in WRITERS


def reopens(message: Message) -> bool:
    """Whether it tells of a topic in which one may write again."""
    return any(getattr(message, name, None) is not None for name in REOPENED)
