"""The store of persisted queries: its size limit and the share of each sender."""

from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from schema.engine.persisted_queries import ENTRY_OVERHEAD, PersistedQueries

LENGTH = 500
ONE = LENGTH + ENTRY_OVERHEAD


def keep(queries: PersistedQueries, sender: int, number: int) -> str:
    text = f"{{ q{number} }}".ljust(LENGTH)
    hash = sha256(text.encode()).hexdigest()
    queries.keep(hash, text, sender)
    return hash


def test_sender_of_many_queries_loses_only_its_own() -> None:
    queries = PersistedQueries(10 * ONE)
    others = [keep(queries, sender, sender) for sender in (1, 2, 3)]
    many = [keep(queries, 9, number) for number in range(100, 1_100)]
    assert all(map(queries.get, others))
    assert [hash for hash in many if queries.get(hash)] == many[-7:]


def test_recently_used_query_is_retained() -> None:
    queries = PersistedQueries(3 * ONE)
    first, second, third = (keep(queries, 1, number) for number in range(3))
    assert keep(queries, 2, 0) == first
    keep(queries, 1, 4)
    assert [bool(queries.get(hash)) for hash in (first, second, third)] == [True, False, True]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 60)), max_size=200))
def test_size_limit_and_shares_hold(entries: list[tuple[int, int]]) -> None:
    queries = PersistedQueries(12 * ONE)
    for sender, number in entries:
        keep(queries, sender, number)
    assert queries._size == sum(queries._sizes.values()) <= 12 * ONE
    assert queries._size == sum(len(text) + ENTRY_OVERHEAD for text, _ in queries._texts.values())
    assert sum(map(len, queries._sent.values())) == len(queries._texts)
    assert queries._sent.keys() == queries._sizes.keys()


def test_query_larger_than_the_store_is_not_stored() -> None:
    queries = PersistedQueries(2 * ONE)
    queries.keep("a" * 64, "x" * 10_000, 1)
    assert queries.get("a" * 64) is None
    assert queries._size == 0
