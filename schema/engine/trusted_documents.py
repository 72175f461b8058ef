"""Trusted documents: operations that the server knows and clients send by their id.

Each is a file `<id>.graphql` with one operation: built-in ones in `schema/engine/trusted`, an
operator's in a folder of the settings. The id is the file's name without the extension, or
`sha256:` and the SHA-256 of its text in hex, with or without the final line break. `aliases.toml`
has other ids of built-in ones.
"""

import hashlib
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

BUILT_IN = Path(__file__).parent / "trusted"
ALIASES = BUILT_IN / "aliases.toml"
EXTENSION = ".graphql"
ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class BadTrustedDocument(Exception):
    """A file is not a valid trusted document; the message has its name and the reason."""


def trusted_documents(folder: Path | None) -> Mapping[str, str]:
    """Return texts by id. A file in `folder` replaces the built-in one with the same id or alias.

    Raises BadTrustedDocument if a file is invalid or can't be read.
    """
    texts = dict(_read(BUILT_IN))
    if folder is not None:
        texts |= dict(_read(folder))
    for alias, id in tomllib.loads(ALIASES.read_text()).items():
        texts.setdefault(alias, texts[id])
    return texts | {_hash(form): t for t in texts.values() for form in (t, t.strip())}


def id_of_hash(sha256: str) -> str:
    return f"sha256:{sha256}"


def _hash(text: str) -> str:
    return id_of_hash(hashlib.sha256(text.encode()).hexdigest())


def _read(folder: Path) -> Iterator[tuple[str, str]]:
    try:
        paths = sorted(path for path in folder.iterdir() if path.name.endswith(EXTENSION))
    except OSError as error:
        raise BadTrustedDocument(f"{folder} can't be read: {error}") from None
    for path in paths:
        id = path.name.removesuffix(EXTENSION)
        if not ID.fullmatch(id):
            raise BadTrustedDocument(f"{path}: name it in letters, digits, '_', '.' and '-'.")
        try:
            yield id, path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadTrustedDocument(f"{path} can't be read: {error}") from None
