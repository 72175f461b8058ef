"""The desired config of a device: its sending interval and MQTT quality of service."""

from datetime import datetime
from typing import NamedTuple

DEFAULT_INTERVAL_SECONDS = 60
DEFAULT_QOS = 1
MAX_INTERVAL_SECONDS = 7 * 24 * 3600


class Config(NamedTuple):
    """One version of a device's config. Versions of one device rise by one and never repeat."""

    version: int
    interval_seconds: int
    qos: int
    updated_at: datetime
    updated_by: str
