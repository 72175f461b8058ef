"""Decides on the registration of a known device, without side effects."""

from dataclasses import dataclass
from enum import Enum, StrEnum, auto

RETRY_PENDING_SECONDS = 30
RETRY_REJECTED_SECONDS = 3600


class EnrolmentPolicy(StrEnum):
    """Who may register an unknown device."""

    KEY = "key"
    APPROVE = "approve"
    OPEN = "open"


class ReenrolmentPolicy(StrEnum):
    """What a known device gets if it registers with an enrolment key only."""

    APPROVE = "approve"
    ALLOW = "allow"


class DeviceState(StrEnum):
    PENDING = "pending"
    ACTIVE = "active"
    REJECTED = "rejected"


class Outcome(StrEnum):
    CREATED = "created"
    KNOWN = "known"
    RENEWED = "renewed"
    PENDING = "pending"
    REJECTED = "rejected"


class Decision(Enum):
    """What registration does with a known device."""

    ANSWER = auto()
    """It has authenticated with its own token: return its record, without a new token."""
    RENEW = auto()
    """Issue a new token: its token was never used, or enrolment keys are trusted."""
    ISSUE_PENDING = auto()
    """Issue a new token that works after an administrator approves it."""
    STAY_PENDING = auto()
    """A pending token exists already: issue no other one."""
    REFUSE = auto()


class CredentialKind(Enum):
    """What the caller authenticates with."""

    TOKEN = auto()
    PENDING_TOKEN = auto()
    ADMIN = auto()
    KEY = auto()
    """An enrolment key, or no token if the enrolment policy is `open`."""


@dataclass(frozen=True, slots=True)
class EnrolmentStatus:
    """What the database has about a device.

    `confirmed`: its token has been used. `refused`: an administrator has refused it a new token.
    `renewal_allowed`, `pending_allowed`: no unused token (active, pending) was issued to another
    key, so the caller has not registered yet or has lost the response.
    """

    state: DeviceState
    confirmed: bool
    refused: bool
    renewal_allowed: bool
    pending_allowed: bool


def decide_known(
    status: EnrolmentStatus, proof: CredentialKind, policy: ReenrolmentPolicy
) -> Decision:
    if proof is CredentialKind.PENDING_TOKEN:
        return Decision.STAY_PENDING
    if status.state is DeviceState.REJECTED:
        return Decision.REFUSE
    if proof is CredentialKind.ADMIN:
        return Decision.RENEW
    if proof is CredentialKind.TOKEN:
        return Decision.ANSWER
    return _decide_by_key(status, policy)


def _decide_by_key(status: EnrolmentStatus, policy: ReenrolmentPolicy) -> Decision:
    if status.refused:
        return Decision.REFUSE
    if status.state is DeviceState.ACTIVE:
        if policy is ReenrolmentPolicy.ALLOW:
            return Decision.RENEW
        if not status.confirmed and status.renewal_allowed:
            return Decision.RENEW
    return Decision.ISSUE_PENDING if status.pending_allowed else Decision.STAY_PENDING
