"""Every combination of what is known, what is shown and what the deployment allows."""

from collections.abc import Iterable, Iterator
from itertools import product

from domain.devices.enrolment import (
    Decision,
    DeviceState,
    EnrolmentStatus,
    Proof,
    ReenrolmentPolicy,
    decide_known,
)

APPROVE, ALLOW = ReenrolmentPolicy.APPROVE, ReenrolmentPolicy.ALLOW
ACTIVE, PENDING, REJECTED = DeviceState.ACTIVE, DeviceState.PENDING, DeviceState.REJECTED
LETS_IN = {Decision.ANSWER, Decision.RENEW}
FLAGS = list(product((False, True), repeat=4))


def decided(
    *,
    states: Iterable[DeviceState] = DeviceState,
    proofs: Iterable[Proof] = Proof,
    policies: Iterable[ReenrolmentPolicy] = ReenrolmentPolicy,
) -> Iterator[tuple[EnrolmentStatus, Proof, Decision]]:
    for state, flags, proof, policy in product(states, FLAGS, proofs, policies):
        known = EnrolmentStatus(state, *flags)
        yield known, proof, decide_known(known, proof, policy)


def test_a_rejected_device_stays_out_whatever_it_shows() -> None:
    for case in decided(states={REJECTED}):
        assert case[2] not in LETS_IN, case


def test_its_own_token_is_answered() -> None:
    for case in decided(states={ACTIVE}, proofs={Proof.TOKEN}):
        assert case[2] is Decision.ANSWER, case


def test_only_its_own_token_is_answered() -> None:
    """An answer has no new token in it: anybody else could do nothing with it."""
    for case in decided(proofs={*Proof} - {Proof.TOKEN}):
        assert case[2] is not Decision.ANSWER, case


def test_a_waiting_token_only_waits() -> None:
    for case in decided(proofs={Proof.WAITING_TOKEN}):
        assert case[2] is Decision.KEEP_WAITING, case


def test_an_administrator_renews_all_but_the_rejected() -> None:
    for case in decided(proofs={Proof.ADMIN}):
        assert case[2] is (Decision.REFUSE if case[0].state is REJECTED else Decision.RENEW), case


def test_nobody_takes_a_confirmed_device_over_by_its_mac() -> None:
    for case in decided(proofs={Proof.KEY}, policies={APPROVE}):
        assert not (case[0].confirmed and case[2] in LETS_IN), case


def test_a_key_does_not_get_a_refused_device_in() -> None:
    for case in decided(proofs={Proof.KEY}):
        assert not case[0].refused or case[2] is Decision.REFUSE, case


def test_a_key_does_not_get_a_device_in_that_was_never_approved() -> None:
    for case in decided(states={PENDING, REJECTED}, proofs={Proof.KEY}):
        assert case[2] not in LETS_IN, case


def test_a_key_does_not_take_a_token_that_was_issued_for_another() -> None:
    for case in decided(proofs={Proof.KEY}, policies={APPROVE}):
        assert case[0].renewable or case[2] is not Decision.RENEW, case
        assert case[0].waitable or case[2] is not Decision.WAIT, case


def test_a_key_gets_a_lost_answer_again() -> None:
    for case in decided(states={ACTIVE}, proofs={Proof.KEY}, policies={APPROVE}):
        known = case[0]
        lost = known.renewable and not (known.confirmed or known.refused)
        assert (case[2] is Decision.RENEW) is lost, case


def test_a_trusted_key_gets_every_approved_device_in() -> None:
    for case in decided(states={ACTIVE}, proofs={Proof.KEY}, policies={ALLOW}):
        assert case[2] is (Decision.REFUSE if case[0].refused else Decision.RENEW), case


def test_a_device_that_waits_can_ask_again() -> None:
    for case in decided(states={PENDING}, proofs={Proof.KEY}):
        if not case[0].refused:
            assert case[2] is (Decision.WAIT if case[0].waitable else Decision.KEEP_WAITING), case


def test_only_what_was_refused_or_rejected_is_turned_away() -> None:
    for case in decided():
        if case[2] is Decision.REFUSE:
            assert case[0].state is REJECTED or case[0].refused, case
