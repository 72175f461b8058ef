"""A plug-in at work: what it measures is kept until it is sent, and it can't stop the device."""

# MicroPython has no name for the type of a function.
# mypy: disable-error-code="operator"

import json

from esp_client.clock import Timer

LONGEST_ERROR = 200


class Sampler:
    """`measuring` runs out when it is time to measure. `outbox`: a measurement that the broker has
    not got. `error`: why the plug-in refuses the config in force.
    """

    def __init__(self, plugin: object, log: object) -> None:
        self.plugin = plugin
        self.log = log
        self.measuring = Timer(0)
        self.outbox: bytes | None = None
        self.shown = 0
        self.error = ""

    def measure(self, interval: int) -> None:
        """`interval`: seconds until the next time."""
        self.measuring.again(interval)
        if self.outbox is None:
            self.outbox = self.read()

    def read(self) -> bytes | None:
        """The measurement as it is sent."""
        try:
            value = self.plugin.read()
            if value is None or isinstance(value, bytes):
                return value
            if not isinstance(value, str):
                value = json.dumps(value, separators=(",", ":"))
            return value.encode()
        except Exception as error:
            self.log("the plug-in can't read: " + reason(error))
            return None

    def hear(self, topic: str, payload: bytes) -> None:
        try:
            self.plugin.on_message(topic, payload)
        except Exception as error:
            self.log("the plug-in can't take a message: " + reason(error))

    def adopt(self, config: dict, settings: dict | None) -> None:
        """A config that the desk has put in force."""
        if config["version"] != self.shown:
            self.error = self.refusal(config, settings)
            self.follow(config)

    def follow(self, config: dict) -> None:
        self.shown = config["version"]
        self.measuring.shorten(config["intervalSeconds"])

    def refusal(self, config: dict, settings: dict | None) -> str:
        """Why the plug-in does not take this config; empty where it does."""
        shown = {
            "v": config["version"],
            "interval": config["intervalSeconds"],
            "qos": config["qos"],
            "set": settings or {},
        }
        try:
            take = getattr(self.plugin, "on_config", None)
            answer = take(shown) if take else None
        except Exception as error:
            answer = reason(error)
        return answer[:LONGEST_ERROR] if isinstance(answer, str) else ""


def reason(error: Exception) -> str:
    return str(error) or error.__class__.__name__
