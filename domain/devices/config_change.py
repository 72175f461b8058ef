"""Decides on a change of a device's config."""

from datetime import datetime

from domain.devices.device import DeviceRecord
from domain.devices.facts import config_facts
from domain.devices.inputs import ConfigChange
from domain.devices.writes import ChangeConfig
from domain.errors import ErrorCode, InputError


def decide_config_change(
    device: DeviceRecord, wanted: ConfigChange, actor: str, at: datetime
) -> tuple[ChangeConfig, DeviceRecord] | None:
    """Return the write and the device after it; None if the config has these values already.

    Raises InputError if the current config version is not `expected_version`.
    """
    if wanted.expected_version not in (None, device.config_version):
        raise InputError.at(
            "expectedVersion",
            f"The config is already at version {device.config_version}: read it, then try again.",
            ErrorCode.CONFLICT,
        )
    interval = (
        device.interval_seconds if wanted.interval_seconds is None else wanted.interval_seconds
    )
    qos = device.qos if wanted.qos is None else wanted.qos
    if (interval, qos) == (device.interval_seconds, device.qos):
        return None
    changed = device.changed(
        interval_seconds=interval,
        qos=qos,
        config_version=device.config_version + 1,
        config_updated_at=at,
        config_updated_by=actor,
    )
    write = ChangeConfig(
        device.id,
        device.config_version,
        interval,
        qos,
        at,
        actor,
        config_facts(device),
        config_facts(changed),
    )
    return write, changed
