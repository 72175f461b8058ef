from datetime import datetime

import strawberry

from domain.devices.config import Config as ConfigRow


@strawberry.type(description="One version of a device's config.")
class Config:
    version: int = strawberry.field(
        description="Increases by one with every change; never used twice for one device."
    )
    interval_seconds: int = strawberry.field(
        description="Seconds between two measurements, 1 to 604800 (7 days)."
    )
    qos: int = strawberry.field(description="MQTT quality of service of measurements, 0 to 2.")
    updated_at: datetime = strawberry.field(description="When this version was created.")
    updated_by: str = strawberry.field(
        description="Who created this version, as in `Event.actor`, such as `admin:<token id>`."
    )

    @classmethod
    def of(cls, config: ConfigRow) -> "Config":
        return cls(
            version=config.version,
            interval_seconds=config.interval_seconds,
            qos=config.qos,
            updated_at=config.updated_at,
            updated_by=config.updated_by,
        )
