"""Any sequence of requests for approval: which are the same, and how many are open."""

from hypothesis import given
from hypothesis import strategies as st

from domain.devices.enrolment import (
    MAX_REQUESTS,
    CredentialKind,
    Decision,
    DeviceState,
    EnrolmentStatus,
    OpenRequest,
    ReenrolmentPolicy,
    decide_known,
    has_room,
    repeated_request,
)

# Keys from 10 on are limited to another owner.
KEYS = st.sampled_from([None, 1, 2, 3, 10, 11])
ADDRESSES = st.sampled_from([None, "10.0.0.1", "10.0.0.2", "10.0.0.3", "2001:db8::1"])
CALLERS = st.lists(st.tuples(KEYS, ADDRESSES), max_size=40)


def is_foreign(key: int | None) -> bool:
    return key is not None and key >= 10


def ask(requests: list[OpenRequest], key: int | None, address: str | None) -> Decision:
    """Decide as a registration does, and add the request if it is a new one."""
    foreign = is_foreign(key)
    repeats = repeated_request(requests, key, address)
    allowed = repeats is not None or has_room(requests, foreign=foreign)
    status = EnrolmentStatus(
        DeviceState.ACTIVE, confirmed=True, request_allowed=allowed, foreign=foreign
    )
    decision = decide_known(status, CredentialKind.KEY, ReenrolmentPolicy.APPROVE)
    if decision is Decision.REQUEST_APPROVAL and repeats is None:
        requests.append(OpenRequest(len(requests) + 1, key, address, foreign))
    return decision


@given(CALLERS)
def test_requests_are_limited_and_never_replaced(
    callers: list[tuple[int | None, str | None]],
) -> None:
    requests: list[OpenRequest] = []
    for key, address in callers:
        before = list(requests)
        decision = ask(requests, key, address)
        assert requests[: len(before)] == before
        assert (decision is Decision.REQUEST_APPROVAL) is any(
            (each.key_id, each.address) == (key, address) for each in requests
        )
    for foreign in (False, True):
        assert sum(each.foreign_owner is foreign for each in requests) <= MAX_REQUESTS
    assert len({(each.key_id, each.address) for each in requests}) == len(requests)


@given(CALLERS)
def test_foreign_requests_do_not_change_the_answers_of_others(
    callers: list[tuple[int | None, str | None]],
) -> None:
    everything: list[OpenRequest] = []
    own_only: list[OpenRequest] = []
    for key, address in callers:
        decision = ask(everything, key, address)
        if not is_foreign(key):
            assert ask(own_only, key, address) is decision


@given(st.lists(ADDRESSES, max_size=20))
def test_foreign_key_gets_the_answers_of_an_own_key(addresses: list[str | None]) -> None:
    own: list[OpenRequest] = []
    foreign: list[OpenRequest] = []
    for address in addresses:
        assert ask(own, 1, address) is ask(foreign, 10, address)
