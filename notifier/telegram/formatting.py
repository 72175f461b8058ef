"""Converts text and buttons to Telegram's format."""

import html
import re

from telebot.types import InlineKeyboardButton, InlineKeyboardMarkup

from notifier.channels.channel import Buttons

MAX_LENGTH = 4_096
# Device ids are formatted as code, so that one touch copies them.
ID = re.compile(r"\b[0-9a-f]{32}\b")


def format_text(text: str) -> str:
    """Return HTML (core.telegram.org/bots/api#html-style) with the first line bold.

    Text is cut to the maximum length of a message, which Telegram counts in UTF-16 units.
    """
    fitting = text.encode("utf-16-le")[: 2 * MAX_LENGTH].decode("utf-16-le", "ignore")
    first, *rest = html.escape(fitting, quote=False).split("\n")
    return ID.sub(r"<code>\g<0></code>", "\n".join([f"<b>{first}</b>", *rest]))


def keyboard(buttons: Buttons) -> InlineKeyboardMarkup | None:
    """Return None without buttons."""
    if not buttons:
        return None
    rows = [[InlineKeyboardButton(b.label, callback_data=b.data) for b in row] for row in buttons]
    return InlineKeyboardMarkup(rows)
