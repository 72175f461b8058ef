"""MQTT topic names (MQTT 3.1.1, section 4.7) of a device."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Topics:
    """Where a device publishes and what it subscribes to.

    `data`: measurements, device to server. `config`: retained, server to device. `state`: which
    config the device has applied, retained. `status`: `online` or, as last will, `offline`.
    `listen`: filters of other devices' measurements that this one hears.
    """

    data: str
    config: str
    state: str
    status: str
    listen: tuple[str, ...] = ()


def base_topic(owner: str, place: str, measurement_type: str, device_id: str) -> str:
    """`owner/location/measurement_type/device_id`, of slugs; at most 131 bytes."""
    return f"{owner}/{place}/{measurement_type}/{device_id}"


def topics_of(base: str) -> Topics:
    return Topics(base, f"{base}/config", f"{base}/state", f"{base}/status")
