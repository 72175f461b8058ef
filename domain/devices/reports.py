"""Reports of devices, and the conditional writes that follow from them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.devices.device import DeviceRecord
from domain.devices.facts import changes
from domain.devices.search_words import all_words
from domain.devices.writes import RecordReport


@dataclass(frozen=True, slots=True)
class Report:
    """`version` was applied, or failed with `error`. None: not part of this report."""

    version: int | None = None
    error: str | None = None
    sensor_model: str | None = None
    firmware: str | None = None


def decide_report(
    device: DeviceRecord, report: Report, actor: str, at: datetime, *, arrived: bool | None = None
) -> tuple[RecordReport, DeviceRecord]:
    """Return the write and the device after it.

    `arrived`: True if the device uses its current base topic; None: derived, True if it is in sync
    after this report. A version above the newest one is ignored, and so is one that is recorded
    already.
    """
    hardware_before, hardware_after = _hardware_changes(device, report)
    applied = _applied_changes(device, report)
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


def has_changes(write: RecordReport) -> bool:
    """Return whether the write changes more than the time when the device was last seen."""
    return bool(write.hardware_after or write.applied_after)


def _hardware_changes(
    device: DeviceRecord, report: Report
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The values of the hardware itself; all others may have been set by an administrator."""
    recorded = {"sensorModel": device.sensor_model, "firmware": device.firmware}
    reported = {"sensorModel": report.sensor_model, "firmware": report.firmware}
    return changes(recorded, {name: value for name, value in reported.items() if value is not None})


def _applied_changes(
    device: DeviceRecord, report: Report
) -> tuple[dict[str, Any], dict[str, Any]] | None:
    version, error, old = report.version, report.error, device.applied_version
    if version is None or version > device.config_version:
        return None
    if (version, error) == (old, device.applied_error):
        return None
    new = version if error is None else old
    before = {"appliedVersion": old, "error": device.applied_error}
    return before, {"appliedVersion": new, "error": error, "version": version}
