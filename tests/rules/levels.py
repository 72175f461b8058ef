"""Generated names of owners, places and types, and their topic levels."""

from collections.abc import Iterable

from hypothesis import strategies as st

from domain.names import choose_slug, name_key, slug_root

ALPHABETS = [
    "aAbB12 -_./+#$",
    "éÉe\u0301ß\u017fİ\u0131ǅﬁ",
    "МоскваЁё",
    "القاهرةשלום\u202e\u200f",
    "中文東京カｶ゙ガ",
    "\uff21\uff22\uff43\uff11\uff12\u3000",
    "🚀❤\ufe0f👩\u200d💻🏽",
    "\u200b\u2060\ufeff\u00ad\u034f\u3164\u115f\u2800",
    "\x00\t\n\x1b\x7f\x85",
    "a\u0301\u0302\u200d\u0345ᾳͅ",
]
ANY_TEXT = st.one_of(
    st.text(max_size=64),
    st.sampled_from(ALPHABETS).flatmap(lambda letters: st.text(letters, max_size=64)),
    st.text("".join(ALPHABETS), max_size=64),
)
NAMES = ANY_TEXT.filter(name_key)


def slugs_of(names: Iterable[str], fallback: str = "place") -> dict[str, str]:
    """Return the slug of each name by its key, chosen in the given order as in the database."""
    slugs: dict[str, str] = {}
    for name in names:
        key = name_key(name)
        if key not in slugs:
            root = slug_root(name, fallback)
            similar = {slug for slug in slugs.values() if slug.startswith(root)}
            slugs[key] = choose_slug(name, similar, fallback)
    return slugs
