"""What happens to a device that presents itself: the decision alone, without its consequences."""

from dataclasses import dataclass
from enum import Enum, StrEnum, auto

RETRY_PENDING_SECONDS = 30
RETRY_REJECTED_SECONDS = 3600


class EnrolmentPolicy(StrEnum):
    """Who may register a device that nobody knows yet."""

    KEY = "key"
    APPROVE = "approve"
    OPEN = "open"


class ReenrolmentPolicy(StrEnum):
    """What a known device gets that comes with an enrolment key only."""

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
    """What registration does with a device that is known already."""

    ANSWER = auto()
    """It proved itself by its own token."""
    RENEW = auto()
    """Nobody has used its token yet, or the key is trusted: a new token."""
    WAIT = auto()
    """A new token that works once an administrator approves."""
    KEEP_WAITING = auto()
    """It waits already, for a token that somebody else holds."""
    REFUSE = auto()


class Proof(Enum):
    """What the caller brings along."""

    TOKEN = auto()
    WAITING_TOKEN = auto()
    ADMIN = auto()
    KEY = auto()
    """An enrolment key, or nothing at all where anybody may register."""


@dataclass(frozen=True, slots=True)
class EnrolmentStatus:
    """What is on record about a device.

    `confirmed`: its token has been used. `refused`: an administrator has refused it a new one.
    `renewable`, `waitable`: no unused token (that works, that waits) was issued to somebody else,
    so the caller has either not asked yet or lost the answer.
    """

    state: DeviceState
    confirmed: bool
    refused: bool
    renewable: bool
    waitable: bool


def decide_known(known: EnrolmentStatus, proof: Proof, policy: ReenrolmentPolicy) -> Decision:
    if proof is Proof.WAITING_TOKEN:
        return Decision.KEEP_WAITING
    if known.state is DeviceState.REJECTED:
        return Decision.REFUSE
    if proof is Proof.ADMIN:
        return Decision.RENEW
    if proof is Proof.TOKEN:
        return Decision.ANSWER
    return _by_key(known, policy)


def _by_key(known: EnrolmentStatus, policy: ReenrolmentPolicy) -> Decision:
    if known.refused:
        return Decision.REFUSE
    if known.state is DeviceState.ACTIVE:
        if policy is ReenrolmentPolicy.ALLOW:
            return Decision.RENEW
        if not known.confirmed and known.renewable:
            return Decision.RENEW
    return Decision.WAIT if known.waitable else Decision.KEEP_WAITING
