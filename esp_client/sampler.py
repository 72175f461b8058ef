"""Calls the plug-in, whose errors are logged, and keeps a measurement until it is sent."""

# MicroPython has no name for the type of a function.
# mypy: disable-error-code="operator"

import json

from esp_client.clock import Timer

MAX_ERROR = 200


class Sampler:
    """`timer` expires when a measurement is due. `outbox`: a measurement that is not yet sent.
    `version`: of the config that the plug-in has. `error`: why it refuses the applied config.
    """

    def __init__(self, plugin: object, log: object) -> None:
        self.plugin = plugin
        self.log = log
        self.timer = Timer(0)
        self.outbox: bytes | None = None
        self.version = 0
        self.error = ""

    def measure(self, interval: int) -> None:
        """`interval`: seconds until the next measurement."""
        self.timer.repeat(interval)
        if self.outbox is None:
            self.outbox = self.read()

    def read(self) -> bytes | None:
        """A measurement as payload; None: nothing to send."""
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

    def on_message(self, topic: str, payload: bytes) -> None:
        try:
            self.plugin.on_message(topic, payload)
        except Exception as error:
            self.log("the plug-in can't handle a message: " + reason(error))

    def adopt(self, config: dict, settings: dict | None) -> None:
        """Take over a config from a registration, unless the plug-in has it."""
        if config["version"] != self.version:
            self.error = self.check(config, settings)
            self.schedule(config)

    def schedule(self, config: dict) -> None:
        self.version = config["version"]
        self.timer.shorten(config["intervalSeconds"])

    def check(self, config: dict, settings: dict | None) -> str:
        """Why the plug-in refuses this config; empty if it accepts it."""
        message = {
            "v": config["version"],
            "interval": config["intervalSeconds"],
            "qos": config["qos"],
            "set": settings or {},
        }
        try:
            on_config = getattr(self.plugin, "on_config", None)
            answer = on_config(message) if on_config else None
        except Exception as error:
            answer = reason(error)
        return answer[:MAX_ERROR] if isinstance(answer, str) else ""


def reason(error: Exception) -> str:
    return str(error) or error.__class__.__name__
