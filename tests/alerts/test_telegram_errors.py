"""Classification of Telegram's errors. The texts come from tdlib/telegram-bot-api and tdlib/td, and
from the errors of messages.sendMessage that they pass on.
"""

import pytest

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
from notifier.telegram.refusals import exception_for

GONE = [
    (403, "Forbidden: bot was blocked by the user"),
    (403, "Forbidden: user is deactivated"),
    (403, "Forbidden: the group chat was deleted"),
    (403, "Forbidden: bot was kicked from the group chat"),
    (403, "Forbidden: bot was kicked from the supergroup chat"),
    (403, "Forbidden: bot was kicked from the channel chat"),
    (403, "Forbidden: bot is not a member of the group chat"),
    (403, "Forbidden: bot is not a member of the supergroup chat"),
    (403, "Forbidden: bot is not a member of the channel chat"),
    (403, "Forbidden: bot can't initiate conversation with a user"),
    (403, "Forbidden: the bot can't send messages to the bot"),
    (403, "Forbidden: bot can't send messages to bots"),
    (403, "Forbidden: something new"),
    (400, "Bad Request: chat not found"),
    (400, "Bad Request: private chat not found"),
    (400, "Bad Request: group chat was deactivated"),
    (400, "Bad Request: PEER_ID_INVALID"),
    (400, "Bad Request: CHANNEL_PRIVATE"),
    (400, "Bad Request: CHANNEL_INVALID"),
    (400, "Bad Request: CHAT_ID_INVALID"),
    (400, "Bad Request: USER_DELETED"),
    (400, "Bad Request: can't access the chat"),
]
UNWELCOME = [
    (400, "Bad Request: not enough rights to send text messages to the chat"),
    (403, "Forbidden: not enough rights to send text messages to the chat"),
    (400, "Bad Request: have no rights to send a message"),
    (400, "Bad Request: have no write access to the chat"),
    (400, "Bad Request: need administrator rights in the channel chat"),
    (400, "Bad Request: CHAT_WRITE_FORBIDDEN"),
    (403, "Forbidden: CHAT_WRITE_FORBIDDEN"),
    (400, "Bad Request: CHAT_SEND_PLAIN_FORBIDDEN"),
    (400, "Bad Request: CHAT_GUEST_SEND_FORBIDDEN"),
    (400, "Bad Request: CHAT_RESTRICTED"),
    (400, "Bad Request: CHAT_ADMIN_REQUIRED"),
    (400, "Bad Request: USER_BANNED_IN_CHANNEL"),
    (400, "Bad Request: USER_RESTRICTED"),
    (400, "Bad Request: ALLOW_PAYMENT_REQUIRED_5"),
]
NO_TOPIC = [
    (400, "Bad Request: TOPIC_CLOSED"),
    (400, "Bad Request: TOPIC_DELETED"),
    (400, "Bad Request: TOPIC_ID_INVALID"),
    (400, "Bad Request: message thread not found"),
]
REFUSED = [
    (400, "Bad Request: message is too long"),
    (400, "Bad Request: message text is empty"),
    (400, "Bad Request: text must be non-empty"),
    (400, "Bad Request: text must be encoded in UTF-8"),
    (400, 'Bad Request: can\'t parse entities: Unsupported start tag "x" at byte offset 0'),
    (400, "Bad Request: ENTITIES_TOO_LONG"),
    (400, "Bad Request: ENTITY_BOUNDS_INVALID"),
    (400, "Bad Request: BUTTON_DATA_INVALID"),
    (400, "Bad Request: BUTTON_USER_INVALID"),
    (400, "Bad Request: BUTTON_URL_INVALID"),
    (400, "Bad Request: reply markup is too long"),
    (400, "Bad Request: REPLY_MARKUP_INVALID"),
    (400, "Bad Request: inline keyboard button text must be non-empty"),
    (400, "Bad Request: can't parse reply keyboard markup JSON object"),
    (400, "Bad Request: wrong HTTP URL specified"),
    (400, "Bad Request: message is not modified: specified new message content and ..."),
    (400, "Bad Request: message to edit not found"),
    (400, "Bad Request: message can't be edited"),
    (400, "Bad Request: query is too old and response timeout expired or query ID is invalid"),
    (413, "Request Entity Too Large"),
]
OTHER = [
    (TemporaryFailure, 401, "Unauthorized"),
    (TemporaryFailure, 404, "Not Found"),
    (TemporaryFailure, 409, "Conflict: terminated by other getUpdates request"),
    (TemporaryFailure, 500, "Internal Server Error"),
    (UnclearRefusal, 400, "Bad Request: SOMETHING_NEW"),
    (UnclearRefusal, 420, "FLOOD"),
]


@pytest.mark.parametrize(
    ("kind", "code", "description"),
    [
        *((RecipientGone, *case) for case in GONE),
        *((WriteForbidden, *case) for case in UNWELCOME),
        *((NoTopic, *case) for case in NO_TOPIC),
        *((Refused, *case) for case in REFUSED),
        *OTHER,
    ],
)
def test_error_is_classified_by_code_and_description(
    kind: type[Exception], code: int, description: str
) -> None:
    assert type(exception_for(code, description, {})) is kind


def test_error_parameters_give_retry_delay_and_new_address() -> None:
    later = exception_for(429, "Too Many Requests: retry after 480", {"retry_after": 480})
    assert isinstance(later, RetryLater)
    assert later.seconds == 480
    moved = exception_for(
        400, "Bad Request: group chat was upgraded", {"migrate_to_chat_id": -1001}
    )
    assert isinstance(moved, Moved)
    assert moved.address == "-1001"
