"""Simulated devices: each runs `esp_client` in its own thread."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from esp_client.device import Device
from esp_client.examples.relay import Relay
from esp_client.plugin import Plugin
from esp_client.simulated import Simulated

OWNER = "Acme"
ROOM = "Living room"
# The device in the prepared tabs of GraphiQL.
GRAPHIQL_MAC = "24:6f:28:aa:bb:cc"
KEEPALIVE_SECONDS = 10


@dataclass(frozen=True)
class DeviceSpec:
    """Properties of a device, as in `settings.py` on a board. `late`: joins after the others."""

    place: str
    measurement_type: str
    mac: str
    latitude: float | None = None
    longitude: float | None = None
    late: bool = False

    @property
    def name(self) -> str:
        """Name on the screen."""
        return f"{'new: ' if self.late else ''}{self.place} {self.measurement_type}"


def _cities() -> list[DeviceSpec]:
    cities = (
        ("Paris", 48.86, 2.35),
        ("Roma", 41.90, 12.50),
        ("Москва", 55.76, 37.62),
        ("São Paulo", -23.55, -46.63),
    )
    specs = [
        DeviceSpec(place, kind, f"24:6f:28:de:{row:02x}:{column:02x}", latitude, longitude)
        for row, (place, latitude, longitude) in enumerate(cities)
        for column, kind in enumerate(("temperature", "humidity"))
    ]
    specs[0] = replace(specs[0], mac=GRAPHIQL_MAC)
    return specs


SENSORS = [
    *_cities(),
    DeviceSpec(ROOM, "temperature", "24:6f:28:de:10:00"),
    DeviceSpec(ROOM, "humidity", "24:6f:28:de:10:01"),
    DeviceSpec("Cellar", "soil moisture", "24:6f:28:de:10:02"),
]
HEATING = DeviceSpec(ROOM, "heating", "24:6f:28:de:20:00")
LATE_SENSOR = DeviceSpec(ROOM, "temperature", "24:6f:28:de:10:09", late=True)


class Settings:
    """The attributes of a board's `settings.py`."""

    def __init__(self, spec: DeviceSpec, url: str, key: str) -> None:
        self.url, self.key, self.ca = url, key, None
        self.mac, self.owner, self.place = spec.mac, OWNER, spec.place
        self.latitude, self.longitude = spec.latitude, spec.longitude
        self.measurement_type = spec.measurement_type
        self.sensor_model = "Relay" if spec is HEATING else "BME280"
        self.firmware = "1.0.0"
        self.keepalive = KEEPALIVE_SECONDS


class Heating(Relay):
    """The example relay, which logs instead of switching a pin."""

    def __init__(self, log: Callable[[str], None]) -> None:
        super().__init__()
        self.log = log

    def switch(self, on: bool) -> None:
        if on != self.on:
            self.log("heating " + ("on" if on else "off"))
        self.on = on


class Room(Simulated):
    """A room whose temperature swings widely, so that the heating switches often."""

    def __init__(self, start: float) -> None:
        super().__init__("temperature", seed=1)
        self.value, self.step = start, 1.5

    def read(self) -> float:
        value = super().read()
        # Back towards 20 °C: the heating switches around it.
        self.value += (20 - self.value) * 0.2
        return value


class SimulatedDevice:
    def __init__(
        self, spec: DeviceSpec, url: str, key: str, folder: Path, log: Callable[[str, str], None]
    ) -> None:
        """`log` takes the device's name and a line."""

        def log_line(line: str) -> None:
            log(spec.name, line)

        self.spec = spec
        path = folder / f"{spec.mac.replace(':', '')}.json"
        plugin = _plugin(spec, log_line)
        self.device = Device(Settings(spec, url, key), str(path), plugin, log_line)
        self.thread = threading.Thread(target=self.device.run, name=spec.name, daemon=True)

    def start(self) -> None:
        self.thread.start()

    def stop(self) -> None:
        self.device.stop()
        self.thread.join(5)


def _plugin(spec: DeviceSpec, log: Callable[[str], None]) -> Plugin:
    if spec is HEATING:
        return Heating(log)
    if spec.place == ROOM and spec.measurement_type == "temperature":
        return Room(17 if spec is LATE_SENSOR else 21)
    return Simulated(spec.measurement_type)
