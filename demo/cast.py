"""Who takes part: simulated devices, each the real `esp_client` in a thread of its own."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from esp_client.device import Device
from esp_client.examples.relay import Relay
from esp_client.plugin import Plugin
from esp_client.simulated import Simulated

OWNER = "Acme"
ROOM = "Living room"
# Of the device in GraphiQL's prepared tabs.
KNOWN_MAC = "24:6f:28:aa:bb:cc"
SHORTEST_KEEPALIVE = 10


@dataclass(frozen=True)
class Role:
    """What a device is told at its making, as in `settings.py` on a board."""

    place: str
    measurement_type: str
    mac: str
    latitude: float | None = None
    longitude: float | None = None
    stranger: bool = False

    @property
    def name(self) -> str:
        """What the screen calls it."""
        return f"{'new: ' if self.stranger else ''}{self.place} {self.measurement_type}"


def _cities() -> list[Role]:
    cities = (
        ("Paris", 48.86, 2.35),
        ("Roma", 41.90, 12.50),
        ("Москва", 55.76, 37.62),
        ("São Paulo", -23.55, -46.63),
    )
    roles = [
        Role(place, kind, f"24:6f:28:de:{row:02x}:{column:02x}", latitude, longitude)
        for row, (place, latitude, longitude) in enumerate(cities)
        for column, kind in enumerate(("temperature", "humidity"))
    ]
    first = roles[0]
    roles[0] = Role(first.place, first.measurement_type, KNOWN_MAC, first.latitude, first.longitude)
    return roles


SENSORS = [
    *_cities(),
    Role(ROOM, "temperature", "24:6f:28:de:10:00"),
    Role(ROOM, "humidity", "24:6f:28:de:10:01"),
    Role("Cellar", "soil moisture", "24:6f:28:de:10:02"),
]
HEATING = Role(ROOM, "heating", "24:6f:28:de:20:00")
LATE = Role(ROOM, "temperature", "24:6f:28:de:10:09", stranger=True)


class Settings:
    """As on a board."""

    def __init__(self, role: Role, url: str, key: str) -> None:
        self.url, self.key, self.ca = url, key, None
        self.mac, self.owner, self.place = role.mac, OWNER, role.place
        self.latitude, self.longitude = role.latitude, role.longitude
        self.measurement_type = role.measurement_type
        self.sensor_model = "Relay" if role is HEATING else "BME280"
        self.firmware = "1.0.0"
        self.keepalive = SHORTEST_KEEPALIVE


class Heating(Relay):
    """The relay of the examples, with words in place of a pin."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__()
        self.say = say

    def switch(self, on: bool) -> None:
        if on != self.on:
            self.say("heating " + ("on" if on else "off"))
        self.on = on


class Room(Simulated):
    """A room whose temperature swings, so that the heating has something to do."""

    def __init__(self, start: float) -> None:
        super().__init__("temperature", seed=1)
        self.value, self.step = start, 1.5

    def read(self) -> float:
        value = super().read()
        # Back towards 20 °C, where the heating switches.
        self.value += (20 - self.value) * 0.2
        return value


class Actor:
    def __init__(
        self, role: Role, url: str, key: str, folder: Path, say: Callable[[str, str], None]
    ) -> None:
        """`say` takes who says something, and what."""

        def log(line: str) -> None:
            say(role.name, line)

        self.role = role
        path = folder / f"{role.mac.replace(':', '')}.json"
        self.device = Device(Settings(role, url, key), str(path), _plugin(role, log), log)
        self.thread = threading.Thread(target=self.device.run, name=role.name, daemon=True)

    def start(self) -> None:
        self.thread.start()

    def stop(self) -> None:
        self.device.stop()
        self.thread.join(5)


def _plugin(role: Role, say: Callable[[str], None]) -> Plugin:
    if role is HEATING:
        return Heating(say)
    if role.place == ROOM and role.measurement_type == "temperature":
        return Room(17 if role is LATE else 21)
    return Simulated(role.measurement_type)
