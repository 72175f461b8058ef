"""A device's stored state: what the server and the broker sent."""

from esp_client import store


class Record:
    """`state`: content of the file at `path`. Its keys: token; waiting, a pending token; device;
    broker; set; facts, as registered; `reported`, the acknowledged config version.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.state = store.load(path)

    @property
    def device(self) -> dict | None:
        """id, topics and config as last received; None before the first registration."""
        return self.state.get("device")

    @property
    def broker(self) -> dict | None:
        """host, port, tls and username; None if the server has no broker."""
        return self.state.get("broker")

    @property
    def version(self) -> int | None:
        """Of the applied config."""
        return self.device["config"]["version"] if self.device else None

    def apply(self, device: dict, settings: dict | None) -> None:
        """Store a config from the broker, with its free settings."""
        self.state["device"] = device
        self.state["set"] = settings
        self.save()

    def save(self) -> None:
        try:
            store.save(self.path, self.state)
        except OSError as error:
            print("rollcall: can't write", self.path, error)
