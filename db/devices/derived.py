"""What follows from a device's columns, whichever way they were read."""

from typing import Any

from domain.devices.config import Config
from domain.mqtt.topics import Topics, listening


class Derived:
    """For classes with a device's columns as attributes."""

    __slots__ = ()

    @property
    def topics(self: Any) -> Topics:
        return listening(self.topic, self.listen)

    @property
    def config(self: Any) -> Config:
        return Config(
            self.config_version,
            self.interval_seconds,
            self.qos,
            self.config_updated_at,
            self.config_updated_by,
        )

    @property
    def in_sync(self: Any) -> bool:
        return bool(self.applied_version == self.config_version)
