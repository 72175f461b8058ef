"""What the board runs after a reset."""

import random

from esp_client import clock, report, settings, wifi
from esp_client.client import Client

BOOT_SECONDS = 30


def seed() -> None:
    """From the hardware, so that a fleet that boots together does not come back together."""
    import os

    random.seed(int.from_bytes(os.urandom(4), "big"))


def main() -> None:
    seed()
    if not wifi.connect(settings.wifi_ssid, settings.wifi_password):
        print("rollcall: no WiFi", settings.wifi_ssid, "- going on without")
    settings.mac = wifi.mac()
    client = Client(settings, "rollcall.json")
    registered = client.boot(BOOT_SECONDS)
    print("\n".join(report.lines(client, registered)))
    while not registered:
        pause = client.ask()
        registered = pause == 0
        print("rollcall:", client.outcome if registered else client.problem)
        clock.sleep(pause)


if __name__ == "__main__":
    main()
