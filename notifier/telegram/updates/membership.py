"""Finds out from an update whether the bot may write in a chat."""

from collections.abc import Mapping
from typing import Any

from telebot.types import Message

WRITERS = ("creator", "member", "administrator")
REOPENED = ("forum_topic_reopened", "forum_topic_created", "general_forum_topic_unhidden")


def may_write(changed: Mapping[str, Any]) -> bool:
    """Whether the bot may write by its new status. `changed`: the raw ChatMemberUpdated.

    It is raw because the library does not know newer kinds of members.
    """
    bot, chat = changed["new_chat_member"], changed["chat"]
    if bot["status"] == "restricted":
        return bool(bot.get("is_member", True) and bot.get("can_send_messages"))
    if chat["type"] == "channel" and bot["status"] == "administrator":
        return bot.get("can_post_messages") is not False
    return bot["status"] in WRITERS


def reopens(message: Message) -> bool:
    """Whether the message is about a new or reopened topic."""
    return any(getattr(message, name, None) is not None for name in REOPENED)
