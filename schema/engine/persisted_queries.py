"""Automatic persisted queries: a client sends a document once with its SHA-256, then that alone.

The protocol is Apollo's: https://www.apollographql.com/docs/apollo-server/performance/apq. A
document that was found is a text and nothing more: it is looked at for each caller as if the caller
had sent it.
"""

from collections import OrderedDict
from collections.abc import Hashable

from graphql import GraphQLError

from schema.engine.documents import BadDocument

# Characters of text, with so many more for each.
MOST = 1_000_000
EACH = 500


class NotPersisted(BadDocument):
    """The hash alone is not enough: the client sends the text with it, or instead of it."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(GraphQLError(message, extensions={"code": code}))


def not_found() -> NotPersisted:
    return NotPersisted("PersistedQueryNotFound", "PERSISTED_QUERY_NOT_FOUND")


def not_supported() -> NotPersisted:
    """Clients then stop sending hashes."""
    return NotPersisted("PersistedQueryNotSupported", "PERSISTED_QUERY_NOT_SUPPORTED")


class PersistedQueries:
    """Texts by their SHA-256, up to a bounded size of all. Where that is reached, the sender of the
    most loses the one that was not used for longest: so no sender pushes out what the others use.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._size = 0
        self._texts: dict[str, tuple[str, Hashable]] = {}
        # The hashes of each sender, the one used last at the end; and how much they are.
        self._sent: dict[Hashable, OrderedDict[str, None]] = {}
        self._sizes: dict[Hashable, int] = {}

    def get(self, sha256: str) -> str | None:
        found = self._texts.get(sha256)
        return found[0] if found else None

    def keep(self, sha256: str, text: str, sender: Hashable) -> None:
        """The hash is that of the text. One that is kept already was used."""
        if found := self._texts.get(sha256):
            self._sent[found[1]].move_to_end(sha256)
            return
        self._texts[sha256] = text, sender
        self._sent.setdefault(sender, OrderedDict())[sha256] = None
        self._count(sender, _size(text))
        while self._size > self._most:
            self._drop(max(self._sizes, key=self._sizes.__getitem__))

    def _drop(self, sender: Hashable) -> None:
        sha256, _ = self._sent[sender].popitem(last=False)
        text, _ = self._texts.pop(sha256)
        self._count(sender, -_size(text))
        if not self._sent[sender]:
            del self._sent[sender], self._sizes[sender]

    def _count(self, sender: Hashable, size: int) -> None:
        self._sizes[sender] = self._sizes.get(sender, 0) + size
        self._size += size


def _size(text: str) -> int:
    return len(text) + EACH
