import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.names import choose_slug, name_key, slug_root
from tests.rules.levels import ALPHABETS, ANY_TEXT, NAMES, slugs_of

SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
INVISIBLE = "\u200b\u2060\ufeff\u00ad\u034f\u3164\u115f\u1160\u2800\ufe0f\u180e\U000e0061\x00\x1b"
BTREE_ROW = 2704  # bytes: maximum of an index entry of PostgreSQL


@given(st.lists(NAMES, max_size=30))
def test_different_names_get_different_levels(names: list[str]) -> None:
    slugs = slugs_of(names)
    assert len(set(slugs.values())) == len(slugs) == len({name_key(name) for name in names})


@given(NAMES, st.sets(st.sampled_from(["place", "place-2", "a", "a-2", "moskva", "1"])))
def test_level_is_short_lower_case_ascii_and_unused(name: str, taken: set[str]) -> None:
    slug = choose_slug(name, taken, "place")
    assert SLUG.fullmatch(slug)
    assert 1 <= len(slug) <= 32
    assert slug not in taken


@given(ANY_TEXT, st.integers(0, 1200))
@example("a" * 64, 20_000)
def test_tried_levels_begin_with_the_root(name: str, tries: int) -> None:
    """The database query for used levels relies on this prefix."""
    tried: list[str] = []

    class Taken:
        def __contains__(self, slug: object) -> bool:
            tried.append(str(slug))
            return len(tried) <= tries

    choose_slug(name, Taken(), "place")
    assert all(slug.startswith(slug_root(name, "place")) for slug in tried)
    # A name that ends like a number may be tried twice.
    assert len(set(tried)) >= tries
    assert max(map(len, tried)) <= 32


@pytest.mark.parametrize("plain", ["12", "a" * 40, "a" * 28 + " b"])
def test_thousands_of_names_with_the_same_root(plain: str) -> None:
    taken: set[str] = set()
    for number in range(2, 3001):
        taken.add(choose_slug(plain, taken, "place"))
        assert len(taken) == number - 1
    assert all(SLUG.fullmatch(slug) and len(slug) <= 32 for slug in taken)
    assert any(slug.endswith("-2999") for slug in taken)


def test_name_equal_to_numbered_level_of_another_name() -> None:
    slugs = slugs_of(["Hall", "Hall 2", "hall!", "Hall.2", "hall 2 2", "HALL-2"])
    assert list(slugs.values()) == [
        "hall",
        "hall-2",
        "hall-3",
        "hall-2-2",
        "hall-2-2-2",
        "hall-2-3",
    ]


@given(ANY_TEXT)
def test_name_key_is_idempotent(name: str) -> None:
    assert name_key(name_key(name)) == name_key(name)


@pytest.mark.parametrize("plane", range(17))
def test_name_key_of_every_character_is_idempotent(plane: int) -> None:
    for code in range(plane << 16, (plane << 16) + 0x10000, 1 if plane < 2 else 251):
        for name in (chr(code), "e\u200d" + chr(code), chr(code) + "\u0345"):
            assert name_key(name_key(name)) == name_key(name), hex(code)


@given(NAMES, st.sampled_from(INVISIBLE), st.data())
def test_name_key_ignores_invisible_characters_spaces_and_normal_form(
    name: str, hidden: str, data: st.DataObject
) -> None:
    key = name_key(name)
    cut = data.draw(st.integers(0, len(name)))
    assert name_key(name[:cut] + hidden + name[cut:]) == key
    assert name_key(f" \u3000{name}\t\u00a0") == key
    assert name_key(name.replace(" ", " \u2003 ")) == key
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert name_key(unicodedata.normalize(form, name)) == key


@given(st.text("aZéЖßçñ 9", min_size=1))
def test_name_key_ignores_case(name: str) -> None:
    assert name_key(name.upper()) == name_key(name.lower()) == name_key(name.title())


@given(st.text(INVISIBLE + " \t\n\u3000"))
def test_invisible_name_has_empty_key(name: str) -> None:
    assert name_key(name) == ""


def test_names_with_different_keys() -> None:
    names = [
        "Acme",
        "Acmé",
        "\u0410\u0441me",
        "Ac me",
        "Acme 2",
        "Ac-me",
        "🚀",
        "🛸",
        "北京",
    ]
    assert len({name_key(name) for name in names}) == len(names)


def test_unassigned_characters_are_retained_in_name_key() -> None:
    """The key, and with it the owner, must not depend on the version of Python."""
    new = "\U0001faf0\U0001faff\U0001f8ff"
    assert [c for c in new if unicodedata.category(c) == "Cn"]
    assert name_key(new) == new


@pytest.mark.parametrize("letters", ["\ufdfa", "\u3316", "\U0001f1e9", "\u0390", *ALPHABETS])
def test_longest_name_key_fits_into_an_index(letters: str) -> None:
    longest = (letters * 64)[:64]
    assert len(name_key(longest).encode()) < BTREE_ROW - 100


def test_names_with_equal_keys() -> None:
    assert name_key("ACME  Corp") == name_key("acme corp") == name_key("\uff21cme Corp")
    assert name_key("Straße") == name_key("STRASSE")
    assert name_key("❤\ufe0f") == name_key("❤")
    assert name_key("e\u200d\u0301") == name_key("É")


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Москва", "moskva"),
        ("São Paulo", "sao-paulo"),
        ("北京", "bei-jing"),
        ("Room #1 / B+", "room-1-b"),
        ("$SYS", "sys"),
        ("a" * 64, "a" * 32),
        ("🚀", "place"),
        ("+/#", "place"),
        ("\u0301", "place"),
    ],
)
def test_level_of_name(name: str, slug: str) -> None:
    assert choose_slug(name, set(), "place") == slug
