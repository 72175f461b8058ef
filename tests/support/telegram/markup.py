"""Telegram's HTML and its keyboards (core.telegram.org/bots/api: "HTML style",
"InlineKeyboardButton"), checked as strictly as Telegram does.
"""

import html
import json
import re
from typing import Any

from tests.support.telegram.errors import ApiError, bad_request

TAGS = frozenset(
    {"a", "b", "blockquote", "code", "del", "em", "i", "ins", "pre", "s", "span", "strike"}
    | {"strong", "tg-emoji", "tg-spoiler", "u"}
)
START_TAG = re.compile(r"<([^\s>]*)")
END_TAG = re.compile(r"</([^\s>]*)\s*>")
# Telegram leaves other named entities unchanged.
ENTITY = re.compile(r"&(?:lt|gt|amp|quot|#\d+|#x[0-9a-fA-F]+);")
ATTRIBUTE = re.compile(
    r"""\s*(?P<name>[^\s=>]+)(?:\s*=\s*(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<bare>[\w.-]+)))?"""
)
CALLBACK_DATA_BYTES = 64


def visible(text: str) -> str:
    """Return an HTML text without tags. Raises ApiError if Telegram can't parse it."""
    return _Parser(text).parse()


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.opened: list[str] = []

    def parse(self) -> str:
        pieces, position = [], 0
        while (start := self.text.find("<", position)) >= 0:
            pieces.append(self.text[position:start])
            closing = self.text.startswith("</", start)
            position = self._end(start) if closing else self._start(start)
        if self.opened:
            raise self._error(f'Can\'t find end tag corresponding to start tag "{self.opened[-1]}"')
        pieces.append(self.text[position:])
        return ENTITY.sub(lambda entity: html.unescape(entity[0]), "".join(pieces))

    def _start(self, start: int) -> int:
        name, position = self._name(start)
        if position == len(self.text):
            raise self._error("Unclosed start tag", start)
        if name not in TAGS:
            raise self._error(f'Unsupported start tag "{name}"', start)
        attributes: dict[str, str] = {}
        while attribute := ATTRIBUTE.match(self.text, position):
            values = attribute.group("double", "single", "bare")
            attributes[attribute["name"].lower()] = next((v for v in values if v is not None), "")
            position = attribute.end()
        rest = self.text[position:].lstrip()
        if not rest.startswith(">"):
            raise self._error("Unclosed start tag", start)
        if name == "span" and attributes.get("class") != "tg-spoiler":
            raise self._error('Tag "span" must have class "tg-spoiler"', start)
        self.opened.append(name)
        return len(self.text) - len(rest) + 1

    def _name(self, start: int) -> tuple[str, int]:
        """Return the name of the tag that starts there, and the position after the name."""
        tag = START_TAG.match(self.text, start)
        assert tag
        return tag[1].lower(), tag.end()

    def _end(self, start: int) -> int:
        if not self.opened:
            raise self._error("Unexpected end tag", start)
        tag = END_TAG.match(self.text, start)
        if tag is None:
            raise self._error("Unclosed end tag", start)
        expected, found = self.opened.pop(), tag[1].lower()
        if found not in ("", expected):
            where = f"Unmatched end tag at byte offset {self._offset(start)}"
            raise self._error(f'{where}, expected "</{expected}>", found "</{found}>"')
        return tag.end()

    def _offset(self, position: int) -> int:
        return len(self.text[:position].encode())

    def _error(self, what: str, position: int | None = None) -> ApiError:
        where = "" if position is None else f" at byte offset {self._offset(position)}"
        return bad_request(f"can't parse entities: {what}{where}")


def inline_keyboard(reply_markup: str | None) -> dict[str, Any] | None:
    """Parse the inline keyboard of a message from JSON; None if there is none."""
    if not reply_markup:
        return None
    try:
        markup = json.loads(reply_markup)
    except ValueError:
        raise bad_request("can't parse reply keyboard markup JSON object") from None
    if not isinstance(markup, dict):
        raise bad_request("object expected as reply markup")
    for button in (button for row in markup.get("inline_keyboard", ()) for button in row):
        if not button.get("text"):
            raise bad_request('can\'t parse inline keyboard button: Field "text" must be non-empty')
        data = button.get("callback_data")
        if data is not None and not 1 <= len(data.encode()) <= CALLBACK_DATA_BYTES:
            raise bad_request("BUTTON_DATA_INVALID")
    return markup if "inline_keyboard" in markup else None
