"""What a device measures and does: a class of your own, derived from Plugin."""


class Plugin:
    """Measures nothing and hears nothing. Override what you need; whatever raises is reported on
    the console, and the device goes on. Everything runs between two packets: to take longer than a
    few seconds delays the answer to the broker.
    """

    def read(self) -> object:
        """One measurement, taken every `interval` seconds. A dict or list is sent as JSON, a number
        as its text, str and bytes as they are; None: nothing to send this time.
        """
        return None

    def on_message(self, topic: str, payload: bytes) -> None:
        """Another device's measurement, from a topic of the `listen` list."""

    def on_config(self, config: dict) -> str | None:  # noqa: ARG002
        """A config before it takes effect: {"v", "interval" in seconds, "qos", "set"}, `set` being
        the free settings of this device. Called at the start too. To refuse it, raise or return
        the reason, having changed nothing.
        """
        return None
