from datetime import datetime

import strawberry

from db.tables.links import LinkRow
from domain.access.actors import shown_actor
from schema.context import RollcallInfo


@strawberry.type(description="A rule by which a device listens to other devices of its owner.")
class Link:
    row: strawberry.Private[LinkRow]

    @strawberry.field(description="The link's number, for `unlinkDevice`.")
    def id(self) -> strawberry.ID:
        return strawberry.ID(str(self.row.id))

    @strawberry.field(description="The MQTT topic filter made from the link.")
    def filter(self) -> str:
        return self.row.filter

    @strawberry.field(description="The id of the device that listens.")
    def listener_id(self) -> strawberry.ID:
        return strawberry.ID(self.row.listener_id)

    @strawberry.field(description="Owner of the devices listened to: the listener's owner.")
    def owner(self) -> str:
        return self.row.owner.name

    @strawberry.field(description="Only devices in this place; null: in all places.")
    def place(self) -> str | None:
        return self.row.place.name if self.row.place else None

    @strawberry.field(description="Only devices of this measurement type; null: of all types.")
    def measurement_type(self) -> str | None:
        return self.row.measurement_type.name if self.row.measurement_type else None

    @strawberry.field(
        description="Only this device; null: all devices that match `place` and `measurementType`."
    )
    def device_id(self) -> strawberry.ID | None:
        return strawberry.ID(self.row.source_id) if self.row.source_id else None

    @strawberry.field(description="When the link was created.")
    def created_at(self) -> datetime:
        return self.row.created_at

    @strawberry.field(description="Who created the link, as in `Event.actor`.")
    def created_by(self, info: RollcallInfo) -> str:
        return shown_actor(self.row.created_by, info.context.caller)
