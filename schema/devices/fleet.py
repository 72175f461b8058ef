import strawberry

from db.devices.fleet_counts import FleetCounts
from schema.common.metadata import COST

MAX_OWNERS = 500


@strawberry.type(description="Numbers of devices of one owner.")
class OwnerFleet:
    owner: str = strawberry.field(description="The company or person.")
    total: int = strawberry.field(description="All devices, in any state.")
    online: int = strawberry.field(description="Devices whose MQTT session is connected.")
    in_sync: int = strawberry.field(description="Devices that applied their desired config.")
    pending: int = strawberry.field(description="Devices that wait for approval.")


@strawberry.type(description="Numbers of devices, exact and all counted at the same time.")
class Fleet:
    counts: strawberry.Private[FleetCounts]

    @strawberry.field(description="All devices that the token may see, in any state.")
    def total(self) -> int:
        return self.counts.total

    @strawberry.field(description="Devices that may run.")
    def active(self) -> int:
        return self.counts.active

    @strawberry.field(description="Devices that wait for approval.")
    def pending(self) -> int:
        return self.counts.pending

    @strawberry.field(description="Devices that an administrator has rejected.")
    def rejected(self) -> int:
        return self.counts.rejected

    @strawberry.field(description="Devices whose MQTT session is connected.")
    def online(self) -> int:
        return self.counts.online

    @strawberry.field(description="Devices that applied their desired config.")
    def in_sync(self) -> int:
        return self.counts.in_sync

    @strawberry.field(
        description="Devices that have not applied their desired config yet, or could not."
    )
    def out_of_sync(self) -> int:
        return self.counts.out_of_sync

    @strawberry.field(
        description="Numbers for each owner, sorted by name; at most 500 owners.",
        metadata={COST: MAX_OWNERS},
    )
    def by_owner(self) -> list[OwnerFleet]:
        return [
            OwnerFleet(
                owner=name,
                total=counts.total,
                online=counts.online,
                in_sync=counts.in_sync,
                pending=counts.pending,
            )
            for name, counts in self.counts.of_owners[:MAX_OWNERS]
        ]
