"""Unloads modules: a small board can't hold all of them at once."""

import gc
import sys

import esp_client

SERVER = ("client", "api", "http", "report")
BROKER = ("session", "config", "mqtt", "reader", "packets")


SMALL = sys.implementation.name == "micropython"


def unload(names: tuple) -> None:
    """Free modules until they are imported again. No-op on computers, where threads share them."""
    for name in names if SMALL else ():
        if sys.modules.pop("esp_client." + name, None):
            delattr(esp_client, name)
    collect()


def collect() -> None:
    """Collect garbage early, against fragmentation of the heap. No-op on computers."""
    if SMALL:
        gc.collect()
