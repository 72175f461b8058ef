"""Documents that were sent with their hash: who keeps how many."""

from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from schema.engine.persisted_queries import EACH, PersistedQueries

LENGTH = 500
ONE = LENGTH + EACH


def keep(queries: PersistedQueries, sender: int, number: int) -> str:
    text = f"{{ q{number} }}".ljust(LENGTH)
    hash = sha256(text.encode()).hexdigest()
    queries.keep(hash, text, sender)
    return hash


def test_a_sender_of_many_loses_its_own() -> None:
    queries = PersistedQueries(10 * ONE)
    others = [keep(queries, sender, sender) for sender in (1, 2, 3)]
    many = [keep(queries, 9, number) for number in range(100, 1_100)]
    assert all(map(queries.get, others))
    assert [hash for hash in many if queries.get(hash)] == many[-7:]


def test_what_was_used_stays_longer() -> None:
    queries = PersistedQueries(3 * ONE)
    first, second, third = (keep(queries, 1, number) for number in range(3))
    assert keep(queries, 2, 0) == first
    keep(queries, 1, 4)
    assert [bool(queries.get(hash)) for hash in (first, second, third)] == [True, False, True]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 60)), max_size=200))
def test_the_bound_holds_and_the_share_of_each(kept: list[tuple[int, int]]) -> None:
    queries = PersistedQueries(12 * ONE)
    for sender, number in kept:
        keep(queries, sender, number)
    assert queries._size == sum(queries._sizes.values()) <= 12 * ONE
    assert queries._size == sum(len(text) + EACH for text, _ in queries._texts.values())
    assert sum(map(len, queries._sent.values())) == len(queries._texts)
    assert queries._sent.keys() == queries._sizes.keys()


def test_one_that_is_larger_than_all_may_be() -> None:
    queries = PersistedQueries(2 * ONE)
    queries.keep("a" * 64, "x" * 10_000, 1)
    assert queries.get("a" * 64) is None
    assert queries._size == 0
