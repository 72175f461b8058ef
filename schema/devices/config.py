from datetime import datetime

import strawberry

from domain.access.actors import shown_actor
from domain.devices.config import Config as ConfigRow
from schema.context import RollcallInfo


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
    actor: strawberry.Private[str]
    replaced: strawberry.Private[bool]

    @strawberry.field(
        description="Who created this version, as in `Event.actor`, such as `admin:<token id>`. "
        "Of replaced versions, which may be of a former owner, administrators of one owner see "
        "only `admin`, `enrol` or `telegram`."
    )
    def updated_by(self, info: RollcallInfo) -> str:
        return shown_actor(self.actor, info.context.caller, former_owner=self.replaced)

    @classmethod
    def of(cls, config: ConfigRow, *, replaced: bool = False) -> "Config":
        """`replaced`: it is not the present version."""
        return cls(
            version=config.version,
            interval_seconds=config.interval_seconds,
            qos=config.qos,
            updated_at=config.updated_at,
            actor=config.updated_by,
            replaced=replaced,
        )
