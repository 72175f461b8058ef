"""Reports of devices by GraphQL: the config version they have applied, hardware, firmware."""

from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from domain.access.caller import Caller
from domain.access.permissions import Action
from domain.devices.device import DeviceRecord
from domain.devices.inputs import Acknowledgement
from domain.devices.reports import Report, decide_report, has_changes
from domain.errors import InputError
from resolvers.retry import until_written
from resolvers.services import Services


async def acknowledge_config(
    services: Services,
    caller: Caller,
    wanted: Acknowledgement,
    caller_device: DeviceRecord | None = None,
) -> DeviceRecord:
    """Record that the calling device applied a config version, or failed to (`error`).

    `caller_device`: the device of the token, if the authentication has read it.
    """
    caller.require(Action.ACKNOWLEDGE)
    assert caller.device_id is not None  # noqa: S101
    device = caller_device or await services.reads.device(caller.device_id)
    if device and wanted.version > device.config_version:
        raise InputError.at(
            "version",
            f"There is no version {wanted.version} yet: the newest is {device.config_version}.",
        )
    report = Report(wanted.version, wanted.error, firmware=wanted.firmware)
    found = await record_report(services, caller, report, device)
    if found is None:
        raise InputError.at(None, "This device was deleted: register it again.")
    return found


async def record_report(
    services: Services, caller: Caller, report: Report, caller_device: DeviceRecord | None
) -> DeviceRecord | None:
    """Write a report. Returns the device after it; None if it was deleted.

    A report without changes writes nothing.
    """
    assert caller.device_id is not None  # noqa: S101
    id, unused = caller.device_id, [caller_device]

    async def attempt(session: AsyncSession | None) -> tuple[DeviceRecord | None] | None:
        device = (unused.pop() if unused else None) or await services.reads.device(id)
        if device is None:
            return (None,)
        write, changed = decide_report(device, report, caller.actor, datetime.now(UTC))
        if not has_changes(write) and not (write.arrived and await services.reads.moving(id)):
            return (device,)
        return (changed,) if await services.writes.record_report(write, session) else None

    return (await until_written(services, id, attempt))[0]
