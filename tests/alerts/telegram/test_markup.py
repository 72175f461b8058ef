"""HTML parsing of the stand-in, the same as Telegram's."""

import pytest

from tests.alerts.bot_api import BotApi
from tests.alerts.telegram.client import Bot


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("ä<b>x", 'Can\'t find end tag corresponding to start tag "b"'),
        ("ä<b>x</i>", 'Unmatched end tag at byte offset 6, expected "</b>", found "</i>"'),
        ("a < b", 'Unsupported start tag "" at byte offset 2'),
        ("<p>x</p>", 'Unsupported start tag "p" at byte offset 0'),
        ("x</b>", "Unexpected end tag at byte offset 1"),
        ("x<b", "Unclosed start tag at byte offset 1"),
        ("<a href='x>y</a>", "Unclosed start tag at byte offset 0"),
        ("<span>x</span>", 'Tag "span" must have class "tg-spoiler" at byte offset 0'),
    ],
)
async def test_invalid_html_is_refused(bot: Bot, text: str, why: str) -> None:
    answer = await bot.send(text, parse_mode="HTML")
    assert answer["description"] == f"Bad Request: can't parse entities: {why}"
    assert (await bot.send(text))["ok"]


async def test_valid_html_is_parsed_and_limit_counts_visible_text(api: BotApi, bot: Bot) -> None:
    html = '<a href="https://x.y/?a=1&amp;b=2">Node</a> <B>&lt;7&gt;</B> &nbsp; <code>1 > 0</code>'
    html += "<blockquote expandable>q</blockquote><tg-spoiler>s</tg-spoiler>"
    message = (await bot.send(html, parse_mode="HTML"))["result"]
    assert message["text"] == api.sent[0].text == "Node <7> &nbsp; 1 > 0qs"
    assert api.sent[0].parameters["text"] == html
    assert (await bot.send(f"<b>{'x' * 4096}</b>", parse_mode="HTML"))["ok"]
