"""A device's session at the broker: status, measurements, messages and configs."""

# MicroPython has no name for the type of a function.
# mypy: disable-error-code="operator"

from esp_client import config, modules
from esp_client.mqtt import Connection
from esp_client.stream import Stream

MAX_EXCERPT = 60


class Session:
    """One connection. `settings` has firmware, and `ca` for TLS. `record` and `sampler` outlive it.
    `keepalive`, `timeout`: seconds.

    All methods may raise MqttError, OSError or ValueError. Call `drop` after any end.
    """

    def __init__(self, settings: object, record: object, sampler: object, log: object) -> None:
        self.settings = settings
        self.record = record
        self.sampler = sampler
        self.log = log
        self.stream: object = None
        self.connection: object = None
        self.pending: bytes | None = None  # the latest config message, not yet processed
        self.configured = False  # True after the first config message on this connection
        self.moved = False

    def open(self, host: str, keepalive: int, timeout: float) -> None:
        record, device = self.record, self.record.device
        topics, broker = device["topics"], record.broker
        self.stream = Stream(host, broker["port"], broker["tls"], self.settings.ca or "", timeout)
        self.connection = Connection(self.stream, keepalive, timeout, self.on_message)
        user, password = broker.get("username") or device["id"], record.state.get("token") or ""
        self.connection.connect(device["id"], user, password, (topics["status"], "offline"))
        self.connection.publish(topics["status"], b"online", 1, True)
        # First and separate, so that a filter that the broker rejects can't block the next config.
        self.subscribe([topics["config"]])
        self.subscribe(topics["listen"])
        self.report(record.version, self.sampler.error)
        self.deliver()

    def subscribe(self, filters: list) -> None:
        for name in self.connection.subscribe(filters) if filters else ():
            self.log("the broker refuses the filter " + name)

    def step(self, seconds: float) -> None:
        """Process a config or take a measurement; wait at most `seconds` for the next packet."""
        timer = self.sampler.timer
        self.connection.wait(min(seconds, timer.remaining()))
        if self.pending is not None:
            modules.collect()
            payload, self.pending = self.pending, None
            self.configure(payload)
        elif not timer.remaining():
            modules.collect()
            self.sampler.measure(self.record.device["config"]["intervalSeconds"])
            self.deliver()

    def on_message(self, topic: str, payload: bytes | None) -> None:
        topics = self.record.device["topics"]
        if payload is None:
            self.log("message too long on " + topic)
        elif not payload:
            pass  # A retained message was removed: not a measurement.
        elif topic == topics["config"]:
            self.pending = payload
        elif not (topic + "/").startswith(topics["data"] + "/"):
            self.log("received " + topic + " " + excerpt(payload))
            self.sampler.on_message(topic, payload)

    def deliver(self) -> None:
        if self.sampler.outbox is not None:
            device = self.record.device
            topic, qos = device["topics"]["data"], device["config"]["qos"]
            self.connection.publish(topic, self.sampler.outbox, qos)
            self.sampler.outbox = None

    def report(self, version: int, error: str) -> None:
        """Publish the applied version, or why one is refused."""
        state = config.state(version, error, self.settings.firmware)
        self.connection.publish(self.record.device["topics"]["state"], state, 1, True)

    def configure(self, payload: bytes) -> None:
        try:
            message = config.parse(payload)
        except ValueError:
            self.log("not a config: " + excerpt(payload))
            return
        # A registration has no `set`, so the message of the applied version may bring a new one.
        changed = message.get("set") != self.record.state.get("set")
        if message["v"] > self.record.version or (message["v"] == self.record.version and changed):
            self.apply(message)
        elif message["v"] == self.record.version and self.configured:
            # Published again: the broker may have dropped the earlier status and state.
            self.connection.publish(self.record.device["topics"]["status"], b"online", 1, True)
            self.report(self.record.version, self.sampler.error)
        self.configured = True

    def apply(self, message: dict) -> None:
        error = config.check(message)
        if not error:
            device, settings = config.apply(message, self.record.device), message.get("set")
            error = self.sampler.check(device["config"], settings)
        if error:
            self.log("config v%d refused: %s" % (message["v"], error))
            self.report(message["v"], error)
            return
        topics = self.record.device["topics"]
        self.record.apply(device, settings)
        self.sampler.error = ""
        self.sampler.schedule(device["config"])
        self.log("config v%d applied" % message["v"])
        self.resubscribe(topics, device["topics"])

    def resubscribe(self, before: dict, after: dict) -> None:
        """Apply the changes of `listen`. A new base topic ends the session instead."""
        self.moved = before["data"] != after["data"]
        if self.moved:
            return
        dropped = [name for name in before["listen"] if name not in after["listen"]]
        if dropped:
            self.connection.unsubscribe(dropped)
        self.subscribe([name for name in after["listen"] if name not in before["listen"]])
        self.report(self.record.version, "")

    def leave(self, offline: bool) -> None:
        """Disconnect without the last will. `offline`: publish that status first."""
        if offline:
            self.connection.publish(self.record.device["topics"]["status"], b"offline", 1, True)
        self.connection.disconnect()

    def drop(self) -> None:
        if self.stream is not None:
            self.stream.close()


def excerpt(payload: bytes) -> str:
    return repr(payload[:MAX_EXCERPT])[2:-1]
