import sys, gc, json, select

sys.path.append("/lib")
import socket  # a board has it in its firmware

# ---
gc.collect()
# ---
base = gc.mem_alloc()
from esp_client.client import Client

# ---
gc.collect()
# ---
print("modules:", gc.mem_alloc() - base)


class Settings:
    url = "http://192.168.1.10:8000"
    key = "rce_zYyR22ZAqM1ZtoCi-gm9Boew"
    ca = None
    mac = "246f28aabbcc"
    owner = "Acme"
    place = "Paris"
    latitude = 48.85
    longitude = 2.35
    measurement_type = "temperature"
    sensor_model = "BME280"
    firmware = "1.0.0"


client = Client(Settings, "/state.json")
print("registered:", client.boot(1), client.outcome)
print("peak boot:", gc.mem_alloc() - base)
# ---
gc.collect()  # as main.py does
# ---
print("in use after the boot:", gc.mem_alloc() - base)
from esp_client import report

print("\n".join(report.lines(client, True)))
print("peak report:", gc.mem_alloc() - base)
# ---
gc.collect()  # as main.py does
# ---
from esp_client import modules
from esp_client.device import Device
from esp_client.plugin import Plugin


class Sensor(Plugin):
    def read(self):
        return {"temperature": 21.5, "humidity": 40.1}


device = Device(Settings, "/state.json", Sensor(), print, client)
print("peak both:", gc.mem_alloc() - base)
del client, Client, report
modules.unload(modules.SERVER)
# ---
gc.collect()  # as modules.unload does
# ---
print("in use without the server:", gc.mem_alloc() - base)
from esp_client.session import Session

session = Session(Settings, device.record, device.sampler, print)
session.open("192.168.1.10", 60, 10)
print("peak connecting:", gc.mem_alloc() - base)
# ---
gc.collect()  # as modules.collect does
# ---
print("in use in a session:", gc.mem_alloc() - base)
session.step(0)
print("peak config:", gc.mem_alloc() - base)
# ---
gc.collect()  # as modules.collect does
# ---
session.step(0)
session.leave(True)
print("peak measurement:", gc.mem_alloc() - base)
session.drop()
del session, Session
modules.unload(modules.BROKER)
# ---
gc.collect()  # as modules.unload does
# ---
print("in use without the broker:", gc.mem_alloc() - base)
state = json.load(open("/state.json"))
config, topics = state["device"]["config"], state["device"]["topics"]
print("stored:", state["token"], config["intervalSeconds"], topics["listen"])
print("published:", b" ".join(socket.published).decode())
