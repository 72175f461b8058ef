"""A relay for a heating: switches a pin by another device's temperature."""

import json

from esp_client.plugin import Plugin


class Relay(Plugin):
    """On below `low`, off above `high`, unchanged in between; both in °C. Settings of the same
    names replace them. Sends 1 for on, 0 for off.
    """

    def __init__(self, pin: int = 5, low: float = 19, high: float = 21) -> None:
        self.pin = pin
        self.defaults = low, high
        self.low, self.high = low, high
        self.on = False
        self.output: object = None

    def on_config(self, config: dict) -> str | None:
        low = config["set"].get("low", self.defaults[0])
        high = config["set"].get("high", self.defaults[1])
        if not isinstance(low, (int, float)) or not isinstance(high, (int, float)) or low > high:
            return "low and high must be numbers, low not above high"
        self.low, self.high = low, high
        return None

    def on_message(self, topic: str, payload: bytes) -> None:  # noqa: ARG002
        value = json.loads(payload)
        if isinstance(value, dict):
            value = value["temperature"]
        if value < self.low:
            self.switch(True)
        elif value > self.high:
            self.switch(False)

    def read(self) -> int:
        return int(self.on)

    def switch(self, on: bool) -> None:
        if self.output is None:
            from machine import Pin

            self.output = Pin(self.pin, Pin.OUT)
        self.output.value(int(on))
        self.on = on
