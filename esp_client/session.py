"""A device at its broker: it announces itself, measures, hears, and takes its configs."""

# MicroPython has no name for the type of a function.
# mypy: disable-error-code="operator"

from esp_client import config, modules
from esp_client.mqtt import Connection
from esp_client.stream import Stream

SHOWN_BYTES = 60


class Session:
    """One connection. `settings` has firmware, and `ca` for TLS; `record` and `work` outlive it.
    `keepalive`, `timeout`: seconds.

    Methods raise MqttError, OSError or ValueError; then, too, call `drop`.
    """

    def __init__(self, settings: object, record: object, sampler: object, log: object) -> None:
        self.settings = settings
        self.record = record
        self.sampler = sampler
        self.log = log
        self.stream: object = None
        self.connection: object = None
        self.news: bytes | None = None  # the latest config message, not looked at yet
        self.configured = False  # by a message on this connection
        self.moved = False

    def open(self, host: str, keepalive: int, timeout: float) -> None:
        record, device = self.record, self.record.device
        topics, broker = device["topics"], record.broker
        self.stream = Stream(host, broker["port"], broker["tls"], self.settings.ca or "", timeout)
        self.connection = Connection(self.stream, keepalive, timeout, self.heard)
        user, password = broker.get("username") or device["id"], record.state.get("token") or ""
        self.connection.connect(device["id"], user, password, (topics["status"], "offline"))
        self.connection.publish(topics["status"], b"online", 1, True)
        # Apart, so that filters which the broker does not like can't keep the next config away.
        self.subscribe([topics["config"]])
        self.subscribe(topics["listen"])
        self.report(record.version, self.sampler.error)
        self.deliver()

    def subscribe(self, filters: list) -> None:
        for name in self.connection.subscribe(filters) if filters else ():
            self.log("the broker does not let it hear " + name)

    def step(self, seconds: float) -> None:
        """What there is to do, and else waits, for so many seconds at most."""
        measuring = self.sampler.measuring
        self.connection.wait(min(seconds, measuring.remaining()))
        if self.news is not None:
            modules.collect()
            payload, self.news = self.news, None
            self.configure(payload)
        elif not measuring.remaining():
            modules.collect()
            self.sampler.measure(self.record.device["config"]["intervalSeconds"])
            self.deliver()

    def heard(self, topic: str, payload: bytes | None) -> None:
        topics = self.record.device["topics"]
        if payload is None:
            self.log("too long a message on " + topic)
        elif not payload:
            pass  # A retained message was removed: nobody has measured anything.
        elif topic == topics["config"]:
            self.news = payload
        elif not (topic + "/").startswith(topics["data"] + "/"):
            self.log("heard " + topic + " " + shown(payload))
            self.sampler.hear(topic, payload)

    def deliver(self) -> None:
        if self.sampler.outbox is not None:
            device = self.record.device
            topic, qos = device["topics"]["data"], device["config"]["qos"]
            self.connection.publish(topic, self.sampler.outbox, qos)
            self.sampler.outbox = None

    def report(self, version: int, error: str) -> None:
        """Which config is in force, or why one is not."""
        state = config.state(version, error, self.settings.firmware)
        self.connection.publish(self.record.device["topics"]["state"], state, 1, True)

    def configure(self, payload: bytes) -> None:
        try:
            message = config.parsed(payload)
        except ValueError:
            self.log("no config: " + shown(payload))
            return
        # The desk tells everything but `set`: of the version in force, that may still be news.
        news = message.get("set") != self.record.state.get("set")
        if message["v"] > self.record.version or (message["v"] == self.record.version and news):
            self.take(message)
        elif message["v"] == self.record.version and self.configured:
            # It is told again: the broker may not have let through what it said before.
            self.connection.publish(self.record.device["topics"]["status"], b"online", 1, True)
            self.report(self.record.version, self.sampler.error)
        self.configured = True

    def take(self, message: dict) -> None:
        error = config.mistake(message)
        if not error:
            device, settings = config.applied(message, self.record.device), message.get("set")
            error = self.sampler.refusal(device["config"], settings)
        if error:
            self.log("config v%d refused: %s" % (message["v"], error))
            self.report(message["v"], error)
            return
        topics = self.record.device["topics"]
        self.record.keep(device, settings)
        self.sampler.error = ""
        self.sampler.follow(device["config"])
        self.log("config v%d applied" % message["v"])
        self.follow(topics, device["topics"])

    def follow(self, before: dict, after: dict) -> None:
        """From the topics it had to those of the new config."""
        self.moved = before["data"] != after["data"]
        if self.moved:
            return
        dropped = [name for name in before["listen"] if name not in after["listen"]]
        if dropped:
            self.connection.unsubscribe(dropped)
        self.subscribe([name for name in after["listen"] if name not in before["listen"]])
        self.report(self.record.version, "")

    def leave(self, offline: bool) -> None:
        """Ends the connection in good order: without the last will."""
        if offline:
            self.connection.publish(self.record.device["topics"]["status"], b"offline", 1, True)
        self.connection.disconnect()

    def drop(self) -> None:
        if self.stream is not None:
            self.stream.close()


def shown(payload: bytes) -> str:
    return repr(payload[:SHOWN_BYTES])[2:-1]
