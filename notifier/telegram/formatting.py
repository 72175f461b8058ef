"""Text and buttons as Telegram has them."""

import html
import re

from telebot.types import InlineKeyboardButton, InlineKeyboardMarkup

from notifier.channels.channel import Buttons

LONGEST = 4_096
# The ids of devices are there to be copied with one touch.
ID = re.compile(r"\b[0-9a-f]{32}\b")


def formatted(text: str) -> str:
    """HTML (core.telegram.org/bots/api#html-style), with the first line bold and all else as it is.

    Cut where it is too long for one message, which Telegram counts in UTF-16.
    """
    fitting = text.encode("utf-16-le")[: 2 * LONGEST].decode("utf-16-le", "ignore")
    first, *rest = html.escape(fitting, quote=False).split("\n")
    return ID.sub(r"<code>\g<0></code>", "\n".join([f"<b>{first}</b>", *rest]))


def keyboard(buttons: Buttons) -> InlineKeyboardMarkup | None:
    """None where there are none."""
    if not buttons:
        return None
    rows = [[InlineKeyboardButton(b.label, callback_data=b.data) for b in row] for row in buttons]
    return InlineKeyboardMarkup(rows)
