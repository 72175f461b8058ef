"""`registerDevice`: a device says who it is, and learns what it needs to know."""

from dataclasses import dataclass

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from db.access import tokens
from db.devices import queries as devices
from db.events.record import record
from db.tables.devices import AnyDevice, Device
from domain.access.caller import Action, Caller, Scope
from domain.access.tokens import TokenKind
from domain.devices.device import DeviceView
from domain.devices.enrolment import (
    RETRY_PENDING_SECONDS,
    RETRY_REJECTED_SECONDS,
    DeviceState,
    EnrolmentPolicy,
    Known,
    Outcome,
    Proof,
    Step,
    decide,
)
from domain.devices.facts import registered_facts
from domain.devices.identity import device_id
from domain.devices.inputs import Registration
from domain.devices.reports import Report
from domain.errors import ErrorCode, InputError, Unauthenticated
from domain.events.kinds import EventKind
from resolvers.devices.quick_registration import register_quickly
from resolvers.devices.reports import record_report
from resolvers.devices.topic_levels import add_device
from resolvers.services import Desk

ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Registered:
    """`device` only where it may run now; `token` only where a new one was issued."""

    outcome: Outcome
    device: AnyDevice | None = None
    token: str | None = None
    retry_after_seconds: int | None = None


PENDING = Registered(Outcome.PENDING, retry_after_seconds=RETRY_PENDING_SECONDS)
REJECTED = Registered(Outcome.REJECTED, retry_after_seconds=RETRY_REJECTED_SECONDS)


async def register_device(
    desk: Desk, caller: Caller, wanted: Registration, own: DeviceView | None = None
) -> Registered:
    """Idempotent: the same hardware gets the same id, topics and config, whoever else asks. `own`:
    the device whose token this is, if it was just read.
    """
    if caller.kind is not None or desk.enrolment is not EnrolmentPolicy.OPEN:
        caller.require(Action.REGISTER)
    if desk.admission:
        desk.admission.admit(caller)
    if caller.kind is TokenKind.DEVICE and not caller.waiting:
        return await _register_known(desk, caller, wanted, own)
    if quick := await register_quickly(desk, caller, wanted):
        return Registered(*quick)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            async with desk.database.begin() as session:
                done = await _register(session, desk, caller, wanted)
            if isinstance(done.device, Device):
                desk.registrar.levels.learn(done.device)
            return done  # noqa: TRY300  only what is committed is learnt
        except IntegrityError:
            # Another request has registered the same new device meanwhile.
            if attempt == ATTEMPTS:
                raise
    raise AssertionError


async def _register(
    session: AsyncSession, desk: Desk, caller: Caller, wanted: Registration
) -> Registered:
    id = device_id(wanted.mac)
    if caller.device_id not in (None, id):
        raise _not_allowed("mac", "This token belongs to another device.")
    device = await devices.find_for_update(session, Scope(), id)
    if device is None:
        return await _create(session, desk, caller, wanted)
    if caller.owner_id not in (None, device.owner_id):
        raise _not_allowed("mac", "This device is registered with another owner.")
    known = await _known(session, caller, device)
    match decide(known, _proof(caller), desk.reenrolment):
        case Step.RENEW:
            return await _renew(session, caller, device)
        case Step.WAIT:
            return await _wait(session, caller, device)
        case Step.KEEP_WAITING:
            return PENDING
        case Step.REFUSE:
            return REJECTED
        case Step.ANSWER:
            raise AssertionError("A device with its own token is known.")


async def _register_known(
    desk: Desk, caller: Caller, wanted: Registration, own: DeviceView | None
) -> Registered:
    """Only what the hardware itself knows is noted; the rest stays as it is."""
    if caller.device_id != device_id(wanted.mac):
        raise _not_allowed("mac", "This token belongs to another device.")
    report = Report(wanted.applied_version, None, wanted.sensor_model, wanted.firmware)
    device = await record_report(desk, caller, report, own)
    if device is None:
        raise Unauthenticated("This token is unknown.")
    return REJECTED if device.state == DeviceState.REJECTED else Registered(Outcome.KNOWN, device)


def _not_allowed(field: str, message: str) -> InputError:
    return InputError.at(field, message, ErrorCode.NOT_ALLOWED)


def _proof(caller: Caller) -> Proof:
    if caller.kind is TokenKind.ADMIN:
        return Proof.ADMIN
    if caller.device_id is None:
        return Proof.KEY
    return Proof.WAITING_TOKEN if caller.waiting else Proof.TOKEN


async def _known(session: AsyncSession, caller: Caller, device: Device) -> Known:
    async def same_asker(*, waiting: bool) -> bool:
        unused = await tokens.unused_of(session, device.id, waiting=waiting)
        return unused is None or unused.issued_by in (None, caller.token_id)

    return Known(
        state=DeviceState(device.state),
        confirmed=device.confirmed_at is not None,
        refused=device.reenrolment_refused,
        renewable=await same_asker(waiting=False),
        waitable=await same_asker(waiting=True),
    )


async def _create(
    session: AsyncSession, desk: Desk, caller: Caller, wanted: Registration
) -> Registered:
    must_wait = desk.enrolment is EnrolmentPolicy.APPROVE and caller.kind is not TokenKind.ADMIN
    device = await add_device(
        session, caller, wanted, DeviceState.PENDING if must_wait else DeviceState.ACTIVE
    )
    secret = _issue(session, caller, device, waiting=must_wait)
    after = registered_facts(device)
    record(session, EventKind.DEVICE_REGISTERED, caller, device=device, after=after)
    if must_wait:
        return Registered(Outcome.PENDING, None, secret, RETRY_PENDING_SECONDS)
    return Registered(Outcome.CREATED, device, secret)


async def _renew(session: AsyncSession, caller: Caller, device: Device) -> Registered:
    for waiting in (False, True):
        await tokens.forget_unused(session, device, waiting=waiting)
    device.state = DeviceState.ACTIVE
    device.awaits_approval = device.reenrolment_refused = False
    record(session, EventKind.TOKEN_RENEWED, caller, device=device)
    secret = _issue(session, caller, device, waiting=False)
    return Registered(Outcome.RENEWED, device, secret)


async def _wait(session: AsyncSession, caller: Caller, device: Device) -> Registered:
    await tokens.forget_unused(session, device, waiting=True)
    if not device.awaits_approval:
        device.awaits_approval = True
        record(session, EventKind.ENROLMENT_REQUESTED, caller, device=device)
    secret = _issue(session, caller, device, waiting=True)
    return Registered(Outcome.PENDING, None, secret, RETRY_PENDING_SECONDS)


def _issue(session: AsyncSession, caller: Caller, device: Device, *, waiting: bool) -> str:
    key = caller.token_id if caller.kind is TokenKind.ENROL else None
    return tokens.issue_for_device(session, device, key, caller.actor, waiting=waiting)
