"""Temperature from a DS18B20 on the 1-Wire bus. The driver is part of MicroPython."""

import time

from esp_client.plugin import Plugin

CONVERSION_SECONDS = 0.75
POWER_ON_VALUE = 85.0


class DS18B20(Plugin):
    """`pin`: GPIO number. Sends °C. The setting `offset`, °C, is added."""

    def __init__(self, pin: int = 4) -> None:
        self.pin = pin
        self.bus: object = None
        self.offset = 0.0

    def on_config(self, config: dict) -> str | None:
        offset = config["set"].get("offset", 0)
        if not isinstance(offset, (int, float)) or not -10 <= offset <= 10:
            return "offset must be -10 to 10"
        self.offset = offset
        return None

    def read(self) -> float | None:
        if self.bus is None:
            self.bus = self.connect()
        sensors = self.bus.scan()
        if not sensors:
            raise OSError("no DS18B20 on pin " + str(self.pin))
        self.bus.convert_temp()
        time.sleep(CONVERSION_SECONDS)
        value = self.bus.read_temp(sensors[0])
        # The sensor's value before its first conversion after a loss of power.
        return None if value == POWER_ON_VALUE else round(value + self.offset, 2)

    def connect(self) -> object:
        import ds18x20
        import onewire
        from machine import Pin

        return ds18x20.DS18X20(onewire.OneWire(Pin(self.pin)))
