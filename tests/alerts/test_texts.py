"""All languages have the same texts with the same placeholders."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from domain.events.kinds import EventKind
from notifier.messages.texts import LANGUAGES, texts
from notifier.telegram.formatting import MAX_LENGTH, format_text
from notifier.telegram.updates.dispatch import COMMANDS


def flat(words: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in words.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_all_texts_with_same_placeholders(language: str) -> None:
    english, other = dict(flat(texts("en"))), dict(flat(texts(language)))
    assert other.keys() == english.keys()
    for name, text in other.items():
        assert placeholders(text) == placeholders(english[name]), name


def placeholders(text: str) -> list[str]:
    return sorted(set(re.findall(r"{(\w+)}", text)))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_event_kind_and_command_has_texts(language: str) -> None:
    words = texts(language)
    for kind in EventKind:
        assert words[kind]
        assert "{count}" in words["kinds"][kind]
        assert len(words["alerts"][kind]) <= 20
    assert list(words["commands"]) == list(COMMANDS)


def test_formatted_text_is_truncated_and_escapes_html() -> None:
    message = format_text("<b>&\n" + "🌍" * 3_000)
    assert message.startswith("<b>&lt;b&gt;&amp;</b>\n🌍")
    assert (
        len(message.replace("<b>&lt;b&gt;&amp;</b>\n", "").encode("utf-16-le")) // 2
        <= MAX_LENGTH - 5
    )
