"""Every combination of device status, credential and re-enrolment policy."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import product

from domain.devices.enrolment import (
    CredentialKind,
    Decision,
    DeviceState,
    EnrolmentStatus,
    ReenrolmentPolicy,
    decide_known,
)

APPROVE, ALLOW = ReenrolmentPolicy.APPROVE, ReenrolmentPolicy.ALLOW
ACTIVE, PENDING, REJECTED = DeviceState.ACTIVE, DeviceState.PENDING, DeviceState.REJECTED
ACCEPTING = {Decision.ANSWER, Decision.RENEW}
FLAGS = list(product((False, True), repeat=5))


def decided(
    *,
    states: Iterable[DeviceState] = DeviceState,
    proofs: Iterable[CredentialKind] = CredentialKind,
    policies: Iterable[ReenrolmentPolicy] = ReenrolmentPolicy,
) -> Iterator[tuple[EnrolmentStatus, CredentialKind, Decision]]:
    for state, flags, proof, policy in product(states, FLAGS, proofs, policies):
        status = EnrolmentStatus(state, *flags)
        yield status, proof, decide_known(status, proof, policy)


def test_rejected_device_is_never_accepted() -> None:
    for case in decided(states={REJECTED}):
        assert case[2] not in ACCEPTING, case


def test_token_of_active_device_is_answered() -> None:
    for case in decided(states={ACTIVE}, proofs={CredentialKind.TOKEN}):
        assert case[2] is Decision.ANSWER, case


def test_other_credentials_are_never_answered() -> None:
    """ANSWER contains no new token, so it is useful only to a caller that has the token."""
    for case in decided(proofs={*CredentialKind} - {CredentialKind.TOKEN}):
        assert case[2] is not Decision.ANSWER, case


def test_pending_token_stays_pending() -> None:
    for case in decided(proofs={CredentialKind.PENDING_TOKEN}):
        assert case[2] is Decision.STAY_PENDING, case


def test_admin_renews_every_device_except_rejected() -> None:
    for case in decided(proofs={CredentialKind.ADMIN}):
        assert case[2] is (Decision.REFUSE if case[0].state is REJECTED else Decision.RENEW), case


def test_key_does_not_take_over_confirmed_device() -> None:
    for case in decided(proofs={CredentialKind.KEY}, policies={APPROVE}):
        assert not (case[0].confirmed and case[2] in ACCEPTING), case


def test_key_is_refused_after_refused_reenrolment() -> None:
    for case in decided(proofs={CredentialKind.KEY}):
        assert not case[0].refused or case[2] is Decision.REFUSE, case


def test_key_is_not_accepted_for_device_without_approval() -> None:
    for case in decided(states={PENDING, REJECTED}, proofs={CredentialKind.KEY}):
        assert case[2] not in ACCEPTING, case


def test_key_does_not_replace_token_issued_for_another_key() -> None:
    for case in decided(proofs={CredentialKind.KEY}, policies={APPROVE}):
        assert case[0].renewal_allowed or case[2] is not Decision.RENEW, case
        assert case[0].request_allowed or case[2] is not Decision.REQUEST_APPROVAL, case


def test_foreign_key_is_never_accepted() -> None:
    for case in decided(proofs={CredentialKind.KEY}):
        assert not (case[0].foreign and case[2] in ACCEPTING), case


def test_foreign_key_is_answered_like_a_key_for_a_used_device() -> None:
    for case in decided(proofs={CredentialKind.KEY}, policies={APPROVE}):
        used = replace(case[0], foreign=False, confirmed=True)
        if case[0].foreign:
            assert case[2] is decide_known(used, CredentialKind.KEY, APPROVE), case


def test_same_key_renews_unconfirmed_token() -> None:
    for case in decided(states={ACTIVE}, proofs={CredentialKind.KEY}, policies={APPROVE}):
        status = case[0]
        barred = status.confirmed or status.refused or status.foreign
        lost = status.renewal_allowed and not barred
        assert (case[2] is Decision.RENEW) is lost, case


def test_key_renews_active_device_with_policy_allow() -> None:
    for case in decided(states={ACTIVE}, proofs={CredentialKind.KEY}, policies={ALLOW}):
        if not case[0].foreign:
            assert case[2] is (Decision.REFUSE if case[0].refused else Decision.RENEW), case


def test_key_of_pending_device_requests_approval_or_stays_pending() -> None:
    for case in decided(states={PENDING}, proofs={CredentialKind.KEY}):
        if not case[0].refused:
            assert case[2] is (
                Decision.REQUEST_APPROVAL if case[0].request_allowed else Decision.STAY_PENDING
            ), case


def test_only_refused_or_rejected_devices_are_refused() -> None:
    for case in decided():
        if case[2] is Decision.REFUSE:
            assert case[0].state is REJECTED or case[0].refused, case
