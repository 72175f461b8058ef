"""The program of a board after a reset."""

import gc
import random

from esp_client import settings, wifi

BOOT_SECONDS = 30
PATH = "rollcall.json"


def seed() -> None:
    """Seed from the hardware, so that devices that boot together do not retry together."""
    import os

    random.seed(int.from_bytes(os.urandom(4), "big"))


def boot() -> object:
    """Register, or continue with the stored config; print the result."""
    from esp_client.client import Client

    client = Client(settings, PATH)
    registered = client.boot(BOOT_SECONDS)
    gc.collect()
    from esp_client import report

    print("\n".join(report.lines(client, registered)))
    gc.collect()
    return client


def log(line: str) -> None:
    print("rollcall:", line)


def plugin() -> object:
    """The plug-in of the settings; one that does nothing if that fails."""
    from esp_client.plugin import Plugin
    from esp_client.sampler import reason

    try:
        return settings.plugin()
    except Exception as error:
        log("no plug-in: " + reason(error))
        return Plugin()


def main() -> None:
    seed()
    if not wifi.connect(settings.wifi_ssid, settings.wifi_password):
        log("no WiFi " + settings.wifi_ssid + ", continuing without")
    settings.mac = wifi.mac()
    client = boot()
    # Not earlier: registration needs the memory.
    from esp_client.device import Device

    device = Device(settings, PATH, plugin(), log, client)
    del client
    device.run()


if __name__ == "__main__":
    main()
