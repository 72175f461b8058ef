"""Run a device on MicroPython's unix port: `micropython live.py FOLDER URL STATE`."""

import sys

sys.path.insert(0, sys.argv[1])
import gc

from esp_client.client import Client


class Settings:
    url = sys.argv[2]
    key = "rce_key"
    ca = owner = sensor_model = latitude = longitude = None
    mac = "246f28aabbcc"
    place = "Paris"
    measurement_type = "temperature"
    firmware = "1.2.0"
    keepalive = 2
    patience = 2


class Sensor:
    def read(self):
        return gc.mem_alloc()

    def on_message(self, topic, payload):
        print("message", topic, payload)


def boot():
    client = Client(Settings, sys.argv[3], 2)
    client.boot(0)
    return client


client = boot()
gc.collect()
from esp_client.device import Device

device = Device(Settings, sys.argv[3], Sensor(), print, client)
del client
device.run()
