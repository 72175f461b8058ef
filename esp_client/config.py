"""The message on a device's config topic, and what it makes of the device."""

import json

from esp_client import limits


def parsed(payload: bytes) -> dict:
    """Raises ValueError where it is no config at all: nothing can be acknowledged then."""
    try:
        message = json.loads(payload)
    except RuntimeError as error:  # nested too deeply
        raise ValueError("no config") from error
    if not isinstance(message, dict) or not limits.whole(message.get("v"), 1, 0x7FFFFFFF):
        raise ValueError("no config")
    return message


def mistake(message: dict) -> str:
    """What is wrong with a config; empty where nothing is."""
    if not limits.whole(message.get("interval"), 1, 604800):
        return "interval must be 1 to 604800 seconds"
    if not limits.whole(message.get("qos"), 0, 2):
        return "qos must be 0, 1 or 2"
    listen = message.get("listen", [])
    if not isinstance(listen, list) or not all(limits.is_filter(name) for name in listen):
        return "listen must be a list of topic filters"
    if "topic" in message and not limits.is_name(message["topic"]):
        return "topic must be a topic name"
    if not isinstance(message.get("set", {}), dict):
        return "set must be an object"
    return ""


def applied(message: dict, device: dict) -> dict:
    """The device with this config in force."""
    topics, base = dict(device["topics"]), message.get("topic")
    if base not in (None, topics["data"]):
        topics = {name: base + "/" + name for name in ("config", "state", "status")}
        topics["data"] = base
    topics["listen"] = message.get("listen", [])
    config = {
        "version": message["v"],
        "intervalSeconds": message["interval"],
        "qos": message["qos"],
    }
    return {"id": device["id"], "topics": topics, "config": config}


def state(version: int, error: str, firmware: object) -> bytes:
    """The message on a device's state topic."""
    # By hand: MicroPython's dictionaries have no order.
    text = '{"v":' + str(version)
    if error:
        text += ',"error":' + json.dumps(error)
    elif firmware:
        text += ',"fw":' + json.dumps(firmware)
    return (text + "}").encode()
