"""Messages on a device's config and state topics."""

import json

from esp_client import limits


def parse(payload: bytes) -> dict:
    """Raises ValueError if it has no version, so that nothing can be acknowledged."""
    try:
        message = json.loads(payload)
    except RuntimeError as error:  # nested too deeply
        raise ValueError("not a config") from error
    if not isinstance(message, dict) or not limits.is_int(message.get("v"), 1, 0x7FFFFFFF):
        raise ValueError("not a config")
    return message


def check(message: dict) -> str:
    """Why a config is invalid; empty if it is valid."""
    if not limits.is_int(message.get("interval"), 1, 604800):
        return "interval must be 1 to 604800 seconds"
    if not limits.is_int(message.get("qos"), 0, 2):
        return "qos must be 0, 1 or 2"
    listen = message.get("listen", [])
    if not isinstance(listen, list) or not all(limits.is_filter(name) for name in listen):
        return "listen must be a list of topic filters"
    if "topic" in message and not limits.is_name(message["topic"]):
        return "topic must be a topic name"
    if not isinstance(message.get("set", {}), dict):
        return "set must be an object"
    return ""


def apply(message: dict, device: dict) -> dict:
    """The device record with this config applied."""
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
    # Not by json: MicroPython's dictionaries are unordered.
    text = '{"v":' + str(version)
    if error:
        text += ',"error":' + json.dumps(error)
    elif firmware:
        text += ',"fw":' + json.dumps(firmware)
    return (text + "}").encode()
