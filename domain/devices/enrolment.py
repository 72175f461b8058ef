"""Decides on the registration of a known device, without side effects."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import NamedTuple

RETRY_PENDING_SECONDS = 30
RETRY_REJECTED_SECONDS = 3600
# Open requests for one device: of callers that may register for its owner, and as many of others.
MAX_REQUESTS = 5


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
    REQUEST_APPROVAL = auto()
    """Record a request, with a new token that works after an administrator approves it."""
    STAY_PENDING = auto()
    """The caller has a pending token, or there are too many requests: change nothing."""
    REFUSE = auto()


class CredentialKind(Enum):
    """What the caller authenticates with."""

    TOKEN = auto()
    PENDING_TOKEN = auto()
    ADMIN = auto()
    KEY = auto()
    """An enrolment key, or no token if the enrolment policy is `open`."""


class OpenRequest(NamedTuple):
    """A request for approval that no administrator has decided on.

    `key_id`: the enrolment key, None if without one. `address`: the caller's IP address, None if
    unknown. `foreign_owner`: the key is limited to another owner than the device's.
    """

    id: int
    key_id: int | None
    address: str | None
    foreign_owner: bool


def repeated_request(
    requests: Sequence[OpenRequest], key_id: int | None, address: str | None
) -> int | None:
    """Return the id of the request that this caller asks again; None: it is a new one."""
    same = (each.id for each in requests if (each.key_id, each.address) == (key_id, address))
    return next(same, None)


def has_room(requests: Sequence[OpenRequest], *, foreign: bool) -> bool:
    """Return whether one more request may be open.

    Foreign requests are counted apart: else they would keep out those of the device's owner, who
    can't see why.
    """
    return sum(each.foreign_owner is foreign for each in requests) < MAX_REQUESTS


@dataclass(frozen=True, slots=True)
class EnrolmentStatus:
    """What the database has about a device.

    `confirmed`: its token has been used. `refused`: an administrator has refused it a new token.
    `renewal_allowed`: an unused token was issued to this caller, so it has lost the response. Not
    one that an administrator has approved: any device with the same key could get it.
    `request_allowed`: this caller's request is open already, or fewer than `MAX_REQUESTS` are.
    `foreign`: the caller's key is limited to another owner than the device's.
    """

    state: DeviceState
    confirmed: bool = False
    refused: bool = False
    renewal_allowed: bool = False
    request_allowed: bool = False
    foreign: bool = False


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
    if status.state is DeviceState.ACTIVE and not status.foreign:
        if policy is ReenrolmentPolicy.ALLOW:
            return Decision.RENEW
        if not status.confirmed and status.renewal_allowed:
            return Decision.RENEW
    return Decision.REQUEST_APPROVAL if status.request_allowed else Decision.STAY_PENDING
