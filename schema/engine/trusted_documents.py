"""Operations that are known in advance, and asked for by their id.

Each is a file `<id>.graphql` with one operation: ours in `schema/engine/trusted`, and an operator's
own in a folder of the settings. Its id is the file's name without the ending, or `sha256:` and the
SHA-256 of its text, in hex, with the line end at the end or without it.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

OURS = Path(__file__).parent / "trusted"
ENDING = ".graphql"
ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class BadTrustedDocument(Exception):
    """A file that is none; says which, and why."""


def trusted_documents(folder: Path | None) -> Mapping[str, str]:
    """Texts by id. A file of the folder's stands for ours of the same name.

    Raises BadTrustedDocument.
    """
    texts = dict(_read(OURS))
    if folder is not None:
        texts |= dict(_read(folder))
    return texts | {_hash(form): t for t in texts.values() for form in (t, t.strip())}


def id_of_hash(sha256: str) -> str:
    return f"sha256:{sha256}"


def _hash(text: str) -> str:
    return id_of_hash(hashlib.sha256(text.encode()).hexdigest())


def _read(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.glob(f"*{ENDING}")):
        id = path.name.removesuffix(ENDING)
        if not ID.fullmatch(id):
            raise BadTrustedDocument(f"{path}: name it in letters, digits, '_', '.' and '-'.")
        try:
            yield id, path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadTrustedDocument(f"{path} can't be read: {error}") from None
