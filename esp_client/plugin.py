"""Base class of plug-ins: what a device measures and does."""


class Plugin:
    """Measures nothing and ignores messages. Override what you need. Exceptions are logged on the
    console, and the device continues. All methods run between two packets: one that takes more
    than a few seconds delays the replies to the broker.
    """

    def read(self) -> object:
        """Take a measurement, every `interval` seconds. A dict or list is sent as JSON, a number
        as text, str and bytes unchanged; None: nothing is sent this time.
        """
        return None

    def on_message(self, topic: str, payload: bytes) -> None:
        """Process another device's measurement, from a topic of the `listen` list."""

    def on_config(self, config: dict) -> str | None:  # noqa: ARG002
        """Check a config before it is applied: {"v", "interval" in seconds, "qos", "set"}, where
        `set` has the free settings of this device. Also called at the start. To refuse it, return
        the reason or raise an exception, and change nothing.
        """
        return None
