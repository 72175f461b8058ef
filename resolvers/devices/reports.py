"""What a device says of itself: the config it has applied, its hardware and firmware."""

from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from domain.access.caller import Action, Caller
from domain.devices.device import DeviceRecord
from domain.devices.inputs import Acknowledgement
from domain.devices.reports import Report, decide_report, says_something_new
from domain.errors import InputError
from resolvers.retry import until_written
from resolvers.services import Services


async def acknowledge_config(
    services: Services, caller: Caller, wanted: Acknowledgement, own: DeviceRecord | None = None
) -> DeviceRecord:
    """The calling device has applied a config version, or could not (`error`). `own`: the device,
    if it was just read.
    """
    caller.require(Action.ACKNOWLEDGE)
    assert caller.device_id is not None  # noqa: S101
    own = own or await services.reads.device(caller.device_id)
    if own and wanted.version > own.config_version:
        raise InputError.at(
            "version",
            f"There is no version {wanted.version} yet: {own.config_version} is the newest.",
        )
    report = Report(wanted.version, wanted.error, firmware=wanted.firmware)
    found = await record_report(services, caller, report, own)
    if found is None:
        raise InputError.at(None, "This device has been deleted.")
    return found


async def record_report(
    services: Services, caller: Caller, report: Report, own: DeviceRecord | None
) -> DeviceRecord | None:
    """The device after it; None if it was deleted. What is known already writes nothing."""
    assert caller.device_id is not None  # noqa: S101
    id, read = caller.device_id, [own]

    async def attempt(session: AsyncSession | None) -> tuple[DeviceRecord | None] | None:
        device = (read.pop() if read else None) or await services.reads.device(id)
        if device is None:
            return (None,)
        write, changed = decide_report(device, report, caller.actor, datetime.now(UTC))
        new = says_something_new(write)
        if not new and not (write.arrived and await services.reads.moving(id)):
            return (device,)
        return (changed,) if await services.writes.record_report(write, session) else None

    return (await until_written(services, id, attempt))[0]
