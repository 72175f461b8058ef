import re
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from domain.names import choose_slug, name_key, slug_root
from domain.topics import base_topic, topics_of

SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
NAMES = st.text(min_size=1, max_size=64).filter(name_key)
ID = "f" * 32


def slugs_of(names: list[str]) -> dict[str, str]:
    """The slug of each name, given one after the other."""
    slugs: dict[str, str] = {}
    for name in names:
        key = name_key(name)
        if key not in slugs:
            slugs[key] = choose_slug(name, set(slugs.values()), "owner")
            assert slugs[key].startswith(slug_root(name, "owner"))
    return slugs


@given(st.lists(NAMES, max_size=30))
def test_different_names_never_share_a_level(names: list[str]) -> None:
    slugs = slugs_of(names)
    assert len(set(slugs.values())) == len(slugs)
    for slug in slugs.values():
        assert SLUG.fullmatch(slug)
        assert len(slug) <= 32


def test_a_thousand_names_that_look_alike() -> None:
    names = ["a" * 40 + mark * number for number in range(1, 500) for mark in ("🚀", "✨")]
    slugs = slugs_of(names)
    assert len(set(slugs.values())) == len(names)
    assert all(len(slug) <= 32 for slug in slugs.values())


@given(NAMES)
def test_one_name_in_another_spelling_is_the_same_name(name: str) -> None:
    key = name_key(name)
    assert name_key(key) == key
    assert name_key(f"  {name}\u200b\t") == key
    assert name_key(unicodedata.normalize("NFKC", name)) == key


def test_spellings() -> None:
    assert name_key("ACME  Corp") == name_key("acme corp") == name_key("\uff21cme Corp")
    assert name_key("Straße") == name_key("STRASSE")
    assert name_key("\u200b\u2060") == ""
    assert choose_slug("Москва", set(), "place") == "moskva"
    assert choose_slug("Moskva", {"moskva"}, "place") == "moskva-2"
    assert choose_slug("🚀", set(), "place") == "place"


@given(NAMES, NAMES, NAMES)
def test_every_topic_is_a_valid_topic_name(owner: str, place: str, measurement: str) -> None:
    """MQTT 3.1.1, section 4.7: no wildcards, no NUL, at least a character, no leading `$`."""
    levels = [choose_slug(name, set(), "level") for name in (owner, place, measurement)]
    topics = topics_of(base_topic(*levels, ID))
    names = [topics.data, topics.config, topics.state, topics.status]
    assert len(set(names)) == 4
    for name in names:
        assert not set(name) & set("+#\x00 ")
        assert not name.startswith("$")
        assert 0 < len(name.encode()) <= 200
    assert topics.data.split("/") == [*levels, ID]
