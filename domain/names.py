"""Names of owners, places and measurement types, and the topic levels (slugs) made from them."""

import re
import unicodedata
from collections.abc import Container, Iterator
from functools import lru_cache
from itertools import count

from slugify import slugify

# Entries. A fleet has far fewer names than devices.
NAME_CACHE_SIZE = 10_000
SLUG_LENGTH = 32
NUMBER_LENGTH = 8
# Characters. Normalization takes quadratic time in combining marks.
MAX_LENGTH = 200
INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co"})
# Invisible characters that Unicode counts as marks and letters: variation selectors, fillers
# (property Default_Ignorable_Code_Point), the empty Braille pattern.
BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\ufff0-\ufff8\U000e0000-\U000e0fff]"
)


@lru_cache(NAME_CACHE_SIZE)
def name_key(name: str) -> str:
    """Return the normalized form, which is the same for all spellings of one name.

    Case, runs of spaces, invisible characters and compatibility forms (NFKC) make no
    difference: `Acme`, `ACME ` and the full-width form are one owner. Empty if no character is
    visible. Raises ValueError above MAX_LENGTH: inputs have to limit their names.
    """
    if len(name) > MAX_LENGTH:
        raise ValueError(f"A name of {len(name)} characters.")
    key = _folded(name)
    while (again := _folded(key)) != key:
        key = again
    return key


def choose_slug(name: str, taken: Container[str], fallback: str) -> str:
    """Return the topic level for a new name: lower-case ASCII, at most 32 characters, not `taken`.

    The first name with a slug gets the plain form (`Москва` gives `moskva`). Later names with the
    same slug get a number (`moskva-2`). `fallback` is the slug of names without a letter or digit
    that can be transliterated to ASCII.
    """
    plain = _plain(name, fallback)
    return next(slug for slug in _candidates(plain) if slug not in taken)


def slug_root(name: str, fallback: str) -> str:
    """Return a common prefix of all slugs that `choose_slug` may try for a name."""
    return _plain(name, fallback)[: SLUG_LENGTH - NUMBER_LENGTH].rstrip("-")


def _folded(name: str) -> str:
    if name.isascii() and name.isprintable():
        return " ".join(name.casefold().split())
    visible = "".join(
        c for c in BLANK.sub("", name) if c.isspace() or unicodedata.category(c) not in INVISIBLE
    )
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", visible).casefold())
    return " ".join(folded.split())


def _plain(name: str, fallback: str) -> str:
    return slugify(name_key(name), max_length=SLUG_LENGTH).strip("-") or fallback


def _candidates(plain: str) -> Iterator[str]:
    yield plain
    for number in count(2):
        suffix = f"-{number}"
        yield plain[: SLUG_LENGTH - len(suffix)].rstrip("-") + suffix
