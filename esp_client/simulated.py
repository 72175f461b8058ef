"""A simulated sensor for computers: a random walk within the range of its type."""

import random

from esp_client.plugin import Plugin

# Lowest, highest, and the largest step from one measurement to the next.
RANGES = {
    "temperature": (-10, 40, 0.3),
    "humidity": (20, 95, 1),
    "pressure": (980, 1040, 0.5),
    "co2": (400, 2000, 20),
    "light": (0, 2000, 50),
    "soil-moisture": (5, 60, 0.5),
    "battery": (2.8, 4.2, 0.01),
}
DEFAULT = (0, 100, 1)


class Simulated(Plugin):
    """`measurement_type`: as registered. The same `seed` gives the same values."""

    def __init__(self, measurement_type: str, seed: int | None = None) -> None:
        found = RANGES.get(measurement_type.lower().replace(" ", "-"), DEFAULT)
        self.lowest, self.highest, self.step = found
        self.random = random.Random(seed)
        middle = (self.lowest + self.highest) / 2
        self.value = middle + self.random.uniform(-1, 1) * (self.highest - self.lowest) / 8

    def read(self) -> float:
        value = self.value + self.random.uniform(-self.step, self.step)
        self.value = min(max(value, self.lowest), self.highest)
        return round(self.value, 2)
