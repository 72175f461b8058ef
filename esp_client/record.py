"""What a device was told, by the desk and by the broker."""

from esp_client import store


class Record:
    """`state` is what the file at `path` holds: token, device, broker, set."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.state = store.load(path)

    @property
    def device(self) -> dict | None:
        """id, topics and config as they were last received; None before the first time."""
        return self.state.get("device")

    @property
    def broker(self) -> dict | None:
        """host, port, tls and username; None where there is none."""
        return self.state.get("broker")

    @property
    def version(self) -> int | None:
        """Of the config in force."""
        return self.device["config"]["version"] if self.device else None

    def keep(self, device: dict, settings: dict | None) -> None:
        """A config that came from the broker, with its free settings."""
        self.state["device"] = device
        self.state["set"] = settings
        self.save()

    def save(self) -> None:
        try:
            store.save(self.path, self.state)
        except OSError as error:
            print("rollcall: can't write", self.path, error)
