from datetime import datetime

import strawberry

from db.tables.links import LinkRow


@strawberry.type(description="Whom a device hears: an owner's devices, or one.")
class Link:
    row: strawberry.Private[LinkRow]

    @strawberry.field(description="Its number, for `unlinkDevice`.")
    def id(self) -> strawberry.ID:
        return strawberry.ID(str(self.row.id))

    @strawberry.field(description="The MQTT topic filter that it stands for.")
    def filter(self) -> str:
        return self.row.filter

    @strawberry.field(description="The device that hears.")
    def listener_id(self) -> strawberry.ID:
        return strawberry.ID(self.row.listener_id)

    @strawberry.field(description="Whose devices it hears: the owner of the listener.")
    def owner(self) -> str:
        return self.row.owner.name

    @strawberry.field(description="Only those of this place; null: of all.")
    def place(self) -> str | None:
        return self.row.place.name if self.row.place else None

    @strawberry.field(description="Only those of this measurement type; null: of all.")
    def measurement_type(self) -> str | None:
        return self.row.measurement_type.name if self.row.measurement_type else None

    @strawberry.field(description="Only this device; null: all that the rest says.")
    def device_id(self) -> strawberry.ID | None:
        return strawberry.ID(self.row.source_id) if self.row.source_id else None

    @strawberry.field(description="When it was made.")
    def created_at(self) -> datetime:
        return self.row.created_at

    @strawberry.field(description="Who made it.")
    def created_by(self) -> str:
        return self.row.created_by
