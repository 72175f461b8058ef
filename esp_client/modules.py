"""Code that a small board can't hold all at once."""

import gc
import sys

import esp_client

SERVER = ("client", "api", "http", "report")
BROKER = ("session", "config", "mqtt", "reader", "packets")


SMALL = sys.implementation.name == "micropython"


def unload(names: tuple) -> None:
    """Frees modules until they are imported again. Computers, and devices in threads, keep them."""
    for name in names if SMALL else ():
        if sys.modules.pop("esp_client." + name, None):
            delattr(esp_client, name)
    collect()


def collect() -> None:
    """Garbage, early: a heap that is cleared often stays in fewer pieces."""
    if SMALL:
        gc.collect()
