"""Counts of connections and of unfinished input."""

from hypothesis import given
from hypothesis import strategies as st

from concurrency.connection_guard import FREE_BYTES, RECEIVE_BYTES, ConnectionGuard

ADDRESSES = ["a", "b", None]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["open", "authenticated", "receive", "keep", "close"]),
        st.integers(0, 9),
        st.sampled_from([0, 1, FREE_BYTES - 1, FREE_BYTES, FREE_BYTES + 1, 100_000, 9_000_000]),
    ),
    max_size=60,
)


@given(STEPS)
def test_counts_agree_with_open_connections(steps: list[tuple[str, int, int]]) -> None:
    guard = ConnectionGuard(total=6, per_address=2)
    strangers: list[str | None] = []
    connections = []
    for step, number, size in steps:
        if step == "open":
            address = ADDRESSES[number % 3]
            found = guard.open(address)
            full = len(connections) >= 6
            assert (found is None) == (
                full or (address is not None and strangers.count(address) >= 2)
            )
            if found:
                connections.append(found)
                strangers.append(address)
            continue
        if not connections:
            continue
        at = number % len(connections)
        connection = connections[at]
        match step:
            case "authenticated":
                connection.authenticated()
                strangers[at] = None
            case "receive":
                beyond = sum(max(0, each.held - FREE_BYTES) for each in connections)
                more = max(0, connection.held + size - FREE_BYTES)
                more -= max(0, connection.held - FREE_BYTES)
                allowed = connection.receive(size)
                assert allowed is (more == 0 or beyond + more <= RECEIVE_BYTES)
            case "keep":
                connection.keep(min(size, connection.held))
            case "close":
                connection.close()
                connection.close()
                del connections[at], strangers[at]
    for connection in connections:
        connection.close()
    assert (guard._open, guard._received, guard._strangers) == (0, 0, {})
