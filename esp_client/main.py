"""What the board runs after a reset."""

import gc
import random

from esp_client import settings, wifi

BOOT_SECONDS = 30
PATH = "rollcall.json"


def seed() -> None:
    """From the hardware, so that a fleet that boots together does not come back together."""
    import os

    random.seed(int.from_bytes(os.urandom(4), "big"))


def boot() -> object:
    """Registers, or goes on with what is stored; and says so."""
    from esp_client.client import Client

    client = Client(settings, PATH)
    registered = client.boot(BOOT_SECONDS)
    gc.collect()
    from esp_client import report

    print("\n".join(report.lines(client, registered)))
    gc.collect()
    return client


def say(line: str) -> None:
    print("rollcall:", line)


def plugged() -> object:
    """The plug-in of the settings; one that does nothing where it can't be had."""
    from esp_client.plugin import Plugin
    from esp_client.sampler import reason

    try:
        return settings.plugin()
    except Exception as error:
        say("no plug-in: " + reason(error))
        return Plugin()


def main() -> None:
    seed()
    if not wifi.connect(settings.wifi_ssid, settings.wifi_password):
        say("no WiFi " + settings.wifi_ssid + ", going on without")
    settings.mac = wifi.mac()
    client = boot()
    # Not earlier, because of the memory that registering takes.
    from esp_client.device import Device

    device = Device(settings, PATH, plugged(), say, client)
    del client
    device.run()


if __name__ == "__main__":
    main()
