"""`registerDevice`: registers a device, and returns its id, topics, config and token."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from db.reads.registration import RegistrationRecord
from domain.access.caller import Caller
from domain.access.permissions import Action
from domain.access.tokens import TokenKind, new_token
from domain.devices.device import DeviceRecord, NamedRef
from domain.devices.enrolment import (
    RETRY_PENDING_SECONDS,
    RETRY_REJECTED_SECONDS,
    CredentialKind,
    Decision,
    DeviceState,
    EnrolmentPolicy,
    EnrolmentStatus,
    Outcome,
    decide_known,
    has_room,
    repeated_request,
)
from domain.devices.identity import device_id
from domain.devices.inputs import RegistrationInput
from domain.devices.registration import approval_request, creation, new_device, renewal
from domain.devices.reports import Report
from domain.errors import ErrorCode, InputError, Unauthenticated
from resolvers.devices.acknowledge import record_report
from resolvers.devices.topic_levels import cached_names, get_or_create_names
from resolvers.retry import until_written
from resolvers.services import Services


@dataclass(frozen=True, slots=True)
class RegistrationResult:
    """`device`: only if it is active. `token`: only if a new one was issued."""

    outcome: Outcome
    device: DeviceRecord | None = None
    token: str | None = None
    retry_after_seconds: int | None = None


PENDING = RegistrationResult(Outcome.PENDING, retry_after_seconds=RETRY_PENDING_SECONDS)
REJECTED = RegistrationResult(Outcome.REJECTED, retry_after_seconds=RETRY_REJECTED_SECONDS)


async def register_device(
    services: Services,
    caller: Caller,
    wanted: RegistrationInput,
    caller_device: DeviceRecord | None = None,
) -> RegistrationResult:
    """Register a device. Idempotent: the same hardware gets the same id, topics and config.

    `caller_device`: the device of the token, if the authentication has read it.
    Raises InputError if the caller may not register this device, or no more devices.
    """
    if caller.kind is not None or services.enrolment is not EnrolmentPolicy.OPEN:
        caller.require(Action.REGISTER)
    if services.rate_limiter:
        services.rate_limiter.check(caller)
    id = device_id(wanted.mac)
    if caller.device_id not in (None, id):
        raise _not_allowed("mac", "This token belongs to another device.")
    if caller.kind is TokenKind.DEVICE and not caller.waiting:
        return await _register_by_own_token(services, caller, wanted, caller_device)
    if names := _names_for_fast_path(services, caller, wanted):
        created = await _create(services, caller, new_device(caller, wanted, names, 1), None)
        if created:
            return created

    async def attempt(session: AsyncSession | None) -> RegistrationResult | None:
        found = await services.reads.registration(id)
        assert found is not None  # noqa: S101  each id has a record
        if found.device:
            return await _register_known(services, caller, wanted, found, session)
        return await _register_unknown(services, caller, wanted, found.deleted_version, session)

    return await until_written(services, id, attempt)


def _names_for_fast_path(
    services: Services, caller: Caller, wanted: RegistrationInput
) -> tuple[NamedRef, NamedRef, NamedRef] | None:
    """Return cached names if creation can be tried without a read; None if not.

    Most devices with an enrolment key are unknown. If one is known, the creation is a conflict.
    """
    if caller.kind is TokenKind.DEVICE or caller.max_uses is not None:
        return None
    return cached_names(services, caller, wanted)


async def _register_by_own_token(
    services: Services,
    caller: Caller,
    wanted: RegistrationInput,
    caller_device: DeviceRecord | None,
) -> RegistrationResult:
    """Only values of the hardware itself are written; all others stay unchanged."""
    current = caller_device or await services.reads.device(device_id(wanted.mac))
    if current is None:
        raise Unauthenticated("This token is unknown.")
    status = EnrolmentStatus(DeviceState(current.state), confirmed=True)
    if decide_known(status, CredentialKind.TOKEN, services.reenrolment) is Decision.REFUSE:
        return REJECTED
    report = Report(wanted.applied_version, None, wanted.sensor_model, wanted.firmware)
    device = await record_report(services, caller, report, current)
    if device is None:
        raise Unauthenticated("This token is unknown.")
    return RegistrationResult(Outcome.KNOWN, device)


async def _register_unknown(
    services: Services,
    caller: Caller,
    wanted: RegistrationInput,
    deleted_version: int | None,
    session: AsyncSession | None,
) -> RegistrationResult | None:
    if caller.kind is TokenKind.DEVICE:
        raise Unauthenticated("This token is unknown.")
    if caller.max_uses is not None:
        await _check_uses(services, caller, caller.max_uses, background=session is not None)
    names = cached_names(services, caller, wanted)
    names = names or await get_or_create_names(
        services, caller, wanted, background=session is not None
    )
    device = new_device(caller, wanted, names, (deleted_version or 0) + 1)
    return await _create(services, caller, device, session)


async def _create(
    services: Services, caller: Caller, device: DeviceRecord, session: AsyncSession | None
) -> RegistrationResult | None:
    """None after a conflict."""
    if services.enrolment is EnrolmentPolicy.APPROVE and caller.kind is not TokenKind.ADMIN:
        device = device.changed(state=DeviceState.PENDING, awaits_approval=True)
    secret = new_token(TokenKind.DEVICE)
    number = await services.writes.create_device(creation(caller, device, secret), session)
    if number is None:
        return None
    device.number = number
    if device.awaits_approval:
        return RegistrationResult(Outcome.PENDING, None, secret, RETRY_PENDING_SECONDS)
    return RegistrationResult(Outcome.CREATED, device, secret)


async def _register_known(
    services: Services,
    caller: Caller,
    wanted: RegistrationInput,
    found: RegistrationRecord,
    session: AsyncSession | None,
) -> RegistrationResult | None:
    """None after a conflict."""
    device, revision = found.device, found.access_revision
    assert device is not None  # noqa: S101
    assert revision is not None  # noqa: S101  the device exists
    foreign = caller.owner_id not in (None, device.owner_id)
    if foreign and caller.kind is TokenKind.ADMIN:
        raise _not_allowed("mac", "This device is registered with another owner.")
    key_id = caller.token_id if caller.kind is TokenKind.ENROL else None
    repeats = repeated_request(found.requests, key_id, caller.address)
    status = EnrolmentStatus(
        state=DeviceState(device.state),
        confirmed=found.confirmed,
        refused=found.refused or (foreign and found.foreign_refused),
        renewal_allowed=_has_lost_response(caller, found),
        request_allowed=repeats is not None or has_room(found.requests, foreign=foreign),
        foreign=foreign,
    )
    decision = decide_known(status, _proof(caller), services.reenrolment)
    if decision is Decision.STAY_PENDING:
        return PENDING
    if decision is Decision.REFUSE:
        return REJECTED
    secret = new_token(TokenKind.DEVICE)
    if decision is Decision.REQUEST_APPROVAL:
        request = approval_request(
            caller, wanted, revision, secret, repeats=repeats, foreign_owner=foreign
        )
        if not await services.writes.request_approval(request, session):
            return None
        return RegistrationResult(Outcome.PENDING, None, secret, RETRY_PENDING_SECONDS)
    write = renewal(caller, device.id, revision, secret)
    if not await services.writes.issue_token(write, session):
        return None
    waiting = device.awaits_approval and not write.ends_requests
    active = device.changed(state=DeviceState.ACTIVE, awaits_approval=waiting)
    return RegistrationResult(Outcome.RENEWED, active, secret)


def _has_lost_response(caller: Caller, found: RegistrationRecord) -> bool:
    """Return whether an unused token was issued to this caller, without approval.

    A key is one caller, and all callers without a token are another one.
    """
    if caller.kind is None:
        return found.unused_of == caller.actor
    return found.unused_by is not None and found.unused_by == caller.token_id


def _proof(caller: Caller) -> CredentialKind:
    if caller.kind is TokenKind.ADMIN:
        return CredentialKind.ADMIN
    return CredentialKind.KEY if caller.device_id is None else CredentialKind.PENDING_TOKEN


async def _check_uses(
    services: Services, caller: Caller, max_uses: int, *, background: bool
) -> None:
    """Check the key before names are created: they stay if the registration fails.

    `background`: use the background pool, because the request has a connection already.
    Raises InputError if the key is used up, Unauthenticated if it was revoked.
    """
    async with services.database.transaction(background=background) as session:
        left = await session.scalar(
            text("SELECT max_uses - uses FROM tokens WHERE id = :id AND revoked_at IS NULL"),
            {"id": caller.token_id},
        )
    if left is None:
        raise Unauthenticated("This token was revoked.")
    if left <= 0:
        message = f"This enrolment key is used up ({max_uses} devices): use another key."
        raise InputError.at(None, message, ErrorCode.USED_UP)


def _not_allowed(field: str, message: str) -> InputError:
    return InputError.at(field, message, ErrorCode.NOT_ALLOWED)
