"""Every combination of what is known, what is shown and what the deployment allows."""

from itertools import product

import pytest

from domain.enrolment import DeviceState, Known, Proof, ReenrolmentPolicy, Step, decide

APPROVE, ALLOW = ReenrolmentPolicy.APPROVE, ReenrolmentPolicy.ALLOW
ACTIVE, PENDING, REJECTED = DeviceState.ACTIVE, DeviceState.PENDING, DeviceState.REJECTED
LETS_IN = {Step.ANSWER, Step.RENEW}
KNOWN = [
    Known(state, *flags) for state in DeviceState for flags in product((False, True), repeat=4)
]

every_device = pytest.mark.parametrize("known", KNOWN, ids=str)
every_policy = pytest.mark.parametrize("policy", ReenrolmentPolicy)
every_proof = pytest.mark.parametrize("proof", Proof)


@every_device
@every_policy
@every_proof
def test_a_rejected_device_stays_out_whatever_it_shows(
    known: Known, proof: Proof, policy: ReenrolmentPolicy
) -> None:
    if known.state is REJECTED:
        assert decide(known, proof, policy) not in LETS_IN


@every_device
@every_policy
def test_its_own_token_is_answered(known: Known, policy: ReenrolmentPolicy) -> None:
    if known.state is ACTIVE:
        assert decide(known, Proof.TOKEN, policy) is Step.ANSWER


@every_device
@every_policy
@every_proof
def test_only_its_own_token_is_answered(
    known: Known, proof: Proof, policy: ReenrolmentPolicy
) -> None:
    """An answer has no new token in it: anybody else could do nothing with it."""
    if decide(known, proof, policy) is Step.ANSWER:
        assert proof is Proof.TOKEN


@every_device
@every_policy
def test_a_waiting_token_only_waits(known: Known, policy: ReenrolmentPolicy) -> None:
    assert decide(known, Proof.WAITING_TOKEN, policy) is Step.KEEP_WAITING


@every_device
@every_policy
def test_an_administrator_renews_all_but_the_rejected(
    known: Known, policy: ReenrolmentPolicy
) -> None:
    expected = Step.REFUSE if known.state is REJECTED else Step.RENEW
    assert decide(known, Proof.ADMIN, policy) is expected


@every_device
def test_nobody_takes_a_confirmed_device_over_by_its_mac(known: Known) -> None:
    if known.confirmed:
        assert decide(known, Proof.KEY, APPROVE) not in LETS_IN


@every_device
@every_policy
def test_a_key_does_not_get_a_refused_device_in(known: Known, policy: ReenrolmentPolicy) -> None:
    if known.refused:
        assert decide(known, Proof.KEY, policy) is Step.REFUSE


@every_device
@every_policy
def test_a_key_does_not_get_a_device_in_that_was_never_approved(
    known: Known, policy: ReenrolmentPolicy
) -> None:
    if known.state is not ACTIVE:
        assert decide(known, Proof.KEY, policy) not in LETS_IN


@every_device
def test_a_key_does_not_take_a_token_that_was_issued_for_another(known: Known) -> None:
    if not known.renewable:
        assert decide(known, Proof.KEY, APPROVE) is not Step.RENEW
    if not known.waitable:
        assert decide(known, Proof.KEY, APPROVE) is not Step.WAIT


@every_device
def test_a_key_gets_a_lost_answer_again(known: Known) -> None:
    lost = known.state is ACTIVE and known.renewable and not (known.confirmed or known.refused)
    assert (decide(known, Proof.KEY, APPROVE) is Step.RENEW) is lost


@every_device
def test_a_trusted_key_gets_every_approved_device_in(known: Known) -> None:
    welcome = known.state is ACTIVE and not known.refused
    assert (decide(known, Proof.KEY, ALLOW) is Step.RENEW) is welcome


@every_device
@every_policy
def test_a_device_that_waits_can_ask_again(known: Known, policy: ReenrolmentPolicy) -> None:
    if known.state is PENDING and not known.refused:
        expected = Step.WAIT if known.waitable else Step.KEEP_WAITING
        assert decide(known, Proof.KEY, policy) is expected


@every_device
@every_policy
@every_proof
def test_only_what_was_refused_or_rejected_is_turned_away(
    known: Known, proof: Proof, policy: ReenrolmentPolicy
) -> None:
    if decide(known, proof, policy) is Step.REFUSE:
        assert known.state is REJECTED or known.refused
