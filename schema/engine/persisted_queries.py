"""Automatic persisted queries: a client sends a document with its SHA-256 once, then only the hash.

The protocol is Apollo's: https://www.apollographql.com/docs/apollo-server/performance/apq. Only
texts are stored: each request with a hash is checked as if its caller had sent the text.
"""

from collections import OrderedDict
from collections.abc import Hashable

from graphql import GraphQLError

from schema.engine.documents import BadDocument

# Characters of all texts together, and how many are added for each entry.
MAX_SIZE = 1_000_000
ENTRY_OVERHEAD = 500


class NotPersisted(BadDocument):
    """The hash is not enough: the client has to send the text too, or only the text."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(GraphQLError(message, extensions={"code": code}))


def not_found() -> NotPersisted:
    return NotPersisted("PersistedQueryNotFound", "PERSISTED_QUERY_NOT_FOUND")


def not_supported() -> NotPersisted:
    """Clients stop sending hashes after this error."""
    return NotPersisted("PersistedQueryNotSupported", "PERSISTED_QUERY_NOT_SUPPORTED")


class PersistedQueries:
    """Texts by their SHA-256, of bounded total size.

    At the limit, the least recently used text of the sender with the largest total is dropped, so
    that no sender displaces the texts of others.
    """

    def __init__(self, max_size: int = MAX_SIZE) -> None:
        self._max_size = max_size
        self._size = 0
        self._texts: dict[str, tuple[str, Hashable]] = {}
        # The hashes of each sender, least recently used first, and the size of their texts.
        self._sent: dict[Hashable, OrderedDict[str, None]] = {}
        self._sizes: dict[Hashable, int] = {}

    def get(self, sha256: str) -> str | None:
        found = self._texts.get(sha256)
        return found[0] if found else None

    def keep(self, sha256: str, text: str, sender: Hashable) -> None:
        """Store a text under its hash; if it is stored already, mark it as used."""
        if found := self._texts.get(sha256):
            self._sent[found[1]].move_to_end(sha256)
            return
        self._texts[sha256] = text, sender
        self._sent.setdefault(sender, OrderedDict())[sha256] = None
        self._count(sender, _size(text))
        while self._size > self._max_size:
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
    return len(text) + ENTRY_OVERHEAD
