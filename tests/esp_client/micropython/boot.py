import sys, gc

sys.path.append("/lib")
# ---
gc.collect()
# ---
base = gc.mem_alloc()
from esp_client import report
from esp_client.client import Client

# ---
gc.collect()
# ---
print("modules", gc.mem_alloc() - base)


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
print("registered", client.boot(1), client.outcome)
print("peak", gc.mem_alloc() - base)
# ---
gc.collect()
# ---
print("kept", gc.mem_alloc() - base)
client = Client(Settings, "/state.json")
print("stored", client.state["token"], client.device["config"]["intervalSeconds"])
print("\n".join(report.lines(client, True)))
