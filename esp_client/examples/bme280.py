"""Temperature, humidity and pressure from a BME280 on the I2C bus.

Needs the driver: `mpremote mip install github:robert-hh/BME280/bme280_float.py`.
"""

from esp_client.plugin import Plugin


class BME280(Plugin):
    """`scl`, `sda`: GPIO numbers. Sends {"temperature": °C, "humidity": %, "pressure": hPa}."""

    def __init__(self, scl: int = 22, sda: int = 21) -> None:
        self.pins = (scl, sda)
        self.sensor: object = None

    def read(self) -> dict:
        # At the first measurement, since the sensor may be plugged in after the start.
        if self.sensor is None:
            self.sensor = self.connect()
        temperature, pressure, humidity = self.sensor.read_compensated_data()
        return {
            "temperature": round(temperature, 2),
            "humidity": round(humidity, 1),
            "pressure": round(pressure / 100, 1),
        }

    def connect(self) -> object:
        import bme280_float
        from machine import Pin, SoftI2C

        scl, sda = self.pins
        return bme280_float.BME280(i2c=SoftI2C(scl=Pin(scl), sda=Pin(sda)))
