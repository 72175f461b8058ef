"""What a device says of itself, and what of it is written."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.devices.changes import RecordReport
from domain.devices.device import DeviceRecord
from domain.devices.facts import changes
from domain.devices.search_words import all_words


@dataclass(frozen=True, slots=True)
class Report:
    """`version` was applied, or could not be because of `error`. None: nothing is said of that."""

    version: int | None = None
    error: str | None = None
    sensor_model: str | None = None
    firmware: str | None = None


def decide_report(
    device: DeviceRecord, report: Report, actor: str, at: datetime, *, arrived: bool | None = None
) -> tuple[RecordReport, DeviceRecord]:
    """The write, and the device after it.

    `arrived`: whether the device uses its present topic; None: if it is in sync after this.
    A version that is newer than any is ignored; so is one that is known.
    """
    hardware_before, hardware_after = _hardware(device, report)
    applied = _applied(device, report)
    applied_before, applied_after = applied or (None, None)
    changed = device.changed(
        last_seen_at=at,
        sensor_model=hardware_after.get("sensorModel", device.sensor_model),
        firmware=hardware_after.get("firmware", device.firmware),
    )
    if hardware_after:
        changed.updated_at = at
    if applied_after:
        changed.applied_version, changed.applied_error = (
            applied_after["appliedVersion"],
            report.error,
        )
        changed.applied_at = at if report.error is None else device.applied_at
    write = RecordReport(
        id=device.id,
        topic=device.topic,
        version=device.config_version,
        old_version=device.applied_version,
        old_error=device.applied_error,
        old_sensor_model=device.sensor_model,
        old_firmware=device.firmware,
        new_version=changed.applied_version,
        new_error=changed.applied_error,
        new_sensor_model=changed.sensor_model,
        new_firmware=changed.firmware,
        words=all_words(changed) if hardware_after else None,
        arrived=changed.in_sync if arrived is None else arrived,
        at=at,
        actor=actor,
        hardware_before=hardware_before if hardware_after else None,
        hardware_after=hardware_after or None,
        applied_before=applied_before,
        applied_after=applied_after,
    )
    return write, changed


def says_something_new(write: RecordReport) -> bool:
    """Whether anything but the time at which the device was seen would be written."""
    return bool(write.hardware_after or write.applied_after)


def _hardware(device: DeviceRecord, report: Report) -> tuple[dict[str, Any], dict[str, Any]]:
    """Only what the hardware itself knows; the rest stays as an administrator may have set it."""
    known = {"sensorModel": device.sensor_model, "firmware": device.firmware}
    said = {"sensorModel": report.sensor_model, "firmware": report.firmware}
    return changes(known, {name: value for name, value in said.items() if value is not None})


def _applied(device: DeviceRecord, report: Report) -> tuple[dict[str, Any], dict[str, Any]] | None:
    version, error, old = report.version, report.error, device.applied_version
    if version is None or version > device.config_version:
        return None
    if (version, error) == (old, device.applied_error):
        return None
    new = version if error is None else old
    before = {"appliedVersion": old, "error": device.applied_error}
    return before, {"appliedVersion": new, "error": error, "version": version}
