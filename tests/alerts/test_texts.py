"""The languages have the same texts, with the same places in them."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from domain.events.kinds import EventKind
from notifier.messages.texts import LANGUAGES, texts
from notifier.telegram.formatting import LONGEST, formatted
from notifier.telegram.updates.dispatch import COMMANDS


def flat(words: dict[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for name, value in words.items():
        if isinstance(value, dict):
            yield from flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_there_with_the_same_places(language: str) -> None:
    english, other = dict(flat(texts("en"))), dict(flat(texts(language)))
    assert other.keys() == english.keys()
    for name, text in other.items():
        assert places(text) == places(english[name]), name


def places(text: str) -> list[str]:
    return sorted(set(re.findall(r"{(\w+)}", text)))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kind_and_command_has_its_texts(language: str) -> None:
    words = texts(language)
    for kind in EventKind:
        assert words[kind]
        assert "{count}" in words["kinds"][kind]
        assert len(words["alerts"][kind]) <= 20
    assert list(words["commands"]) == list(COMMANDS)


def test_a_text_that_is_too_long_is_cut_and_what_looks_like_html_is_text() -> None:
    told = formatted("<b>&\n" + "🌍" * 3_000)
    assert told.startswith("<b>&lt;b&gt;&amp;</b>\n🌍")
    assert len(told.replace("<b>&lt;b&gt;&amp;</b>\n", "").encode("utf-16-le")) // 2 <= LONGEST - 5
