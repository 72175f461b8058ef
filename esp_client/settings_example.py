"""Copy this to settings.py on the board. Updates of the code do not change it."""

wifi_ssid = "my network"
wifi_password = "my password"  # noqa: S105

url = "http://192.168.1.10:8000"  # the computer that runs Rollcall
key = "rce_..."  # the enrolment key
ca = None  # for https: name of a file with the CA's certificate, PEM or DER

owner = "Acme"  # None: the owner of the key
place = "Paris"
latitude = 48.8566  # None if unknown
longitude = 2.3522
measurement_type = "temperature"
sensor_model = "BME280"
firmware = "1.0.0"


def plugin() -> object:
    """What the device measures or switches: a class of esp_client/examples, or your own."""
    from esp_client.examples.ds18b20 import DS18B20

    return DS18B20(pin=4)
