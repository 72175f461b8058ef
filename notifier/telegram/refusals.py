"""Finds the cause of a Bot API error: the message, the chat, or the bot.

The texts are those of the Bot API server (tdlib/telegram-bot-api, tdlib/td) and of the errors that
it forwards from Telegram (core.telegram.org/method/messages.sendMessage). Codes do not help: the
same text comes with 400 and with 403.
"""

import re
from collections.abc import Mapping
from typing import Any

from notifier.channels.channel import (
    Moved,
    NoTopic,
    RecipientGone,
    Refused,
    RetryLater,
    TemporaryFailure,
    UnclearRefusal,
    WriteForbidden,
)

UNAUTHORIZED, FORBIDDEN, NOT_FOUND, CONFLICT = 401, 403, 404, 409
TOO_LARGE, TOO_MANY, SERVER = 413, 429, 500

TOPIC = re.compile(
    r"topic_(closed|deleted|id_invalid)|topic (is )?(closed|deleted)|topic not found"
    r"|(message )?thread not found"
)
# The chat comes back by /start, or when the bot is added or may write again.
GONE = re.compile(
    r"bot was (blocked|kicked)|user_is_blocked|not a member|not in the chat"
    r"|(user is|input_user|user_?|chat was|chat is) ?_?deactivated|user_deleted"
    r"|group chat was (deleted|deactivated)|(chat|user) not found|peer_id_invalid"
    r"|\b(channel|chat|user)_(private|invalid|id_invalid)|invalid chat identifier|chat_id is empty"
    r"|can't initiate conversation|can't send messages to (the )?bot|user_is_bot|user_bot_invalid"
    r"|channel_public_group_na|can't access the chat|have no access to the chat"
)
WRITE_FORBIDDEN = re.compile(
    r"not enough rights|have no (rights|write access)|need administrator rights"
    r"|chat_admin_required|right_forbidden|admin_rights|chat_restricted|chat_guest_send_forbidden"
    r"|chat_(write|send)_\w*forbidden|chat_write_forbidden|user_restricted|user_banned_in_channel"
    r"|you_blocked_user|privacy_premium_required|allow_payment_required|slowmode|slow mode"
    r"|not allowed to (send|write)|can't (write|send messages) (in|to)|chat_forbidden"
)
MESSAGE = re.compile(
    r"message (is |caption is )?too long|message_too_long|message(_| text is )empty"
    r"|message (can't be (sent|edited)|must be non-empty|is not modified|to edit not found)"
    r"|message (identifier is not specified|not found)|message_(id_invalid|not_modified)"
    r"|text must be|strings must be|input message content|there is no text in the message"
    r"|can't parse|can't find end|unsupported parse_mode|entit(y|ies)[ _]"
    r"|reply[ _]markup|keyboard|button_\w+|button[ _](type|data|url|text|user)"
    r"|wrong http url|failed to get http url|wrong type of the web page|url_invalid|webpage_"
    r"|query is too old|query_id_invalid|object expected|(latitude|longitude) is"
)


def exception_for(code: int, description: str, parameters: Mapping[str, Any]) -> Exception:
    """Return the exception for this error, `UnclearRefusal` if its text is unknown."""
    text = description.replace("\n", " ")
    if code == TOO_MANY:
        return RetryLater(float(parameters.get("retry_after", 1)))
    if "migrate_to_chat_id" in parameters:
        return Moved(str(parameters["migrate_to_chat_id"]))
    if code in (UNAUTHORIZED, NOT_FOUND):
        return TemporaryFailure(f"the bot's token is not valid ({text})")
    if code >= SERVER or code == CONFLICT:
        return TemporaryFailure(text)
    return _by_text(code, text)


def _by_text(code: int, text: str) -> Exception:
    lower = text.lower()
    for pattern, kind in (
        (TOPIC, NoTopic),
        (GONE, RecipientGone),
        (WRITE_FORBIDDEN, WriteForbidden),
    ):
        if pattern.search(lower):
            return kind(text)
    if code == TOO_LARGE or MESSAGE.search(lower):
        return Refused(text)
    return RecipientGone(text) if code == FORBIDDEN else UnclearRefusal(text)
