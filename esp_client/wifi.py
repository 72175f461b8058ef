"""The board's WiFi and MAC address."""

import time


def connect(ssid: str, password: str, seconds: int = 30) -> bool:
    """True if connected within `seconds`. If not, the board keeps trying in the background."""
    import network

    station = network.WLAN(network.STA_IF)
    station.active(True)
    if not station.isconnected():
        station.connect(ssid, password)
    for _ in range(seconds * 10):
        if station.isconnected():
            return True
        time.sleep(0.1)
    return False


def mac() -> str:
    """12 hexadecimal digits, the same at every boot."""
    import binascii

    import network

    return binascii.hexlify(network.WLAN(network.STA_IF).config("mac")).decode()
