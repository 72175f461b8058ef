import strawberry

from db.devices.fleet_counts import FleetCounts
from schema.common.metadata import COST

MAX_OWNERS = 500


@strawberry.type(description="How many devices of one owner there are, and how they fare.")
class OwnerFleet:
    owner: str = strawberry.field(description="The company or person.")
    total: int = strawberry.field(description="All its devices, whatever their state.")
    online: int = strawberry.field(description="Those whose MQTT session is up.")
    in_sync: int = strawberry.field(description="Those that run their newest config.")
    pending: int = strawberry.field(description="Those that wait for an administrator.")


@strawberry.type(description="How many devices there are, and how they fare; counted, all at once.")
class Fleet:
    counts: strawberry.Private[FleetCounts]

    @strawberry.field(description="All devices that this token can see, whatever their state.")
    def total(self) -> int:
        return self.counts.total

    @strawberry.field(description="Those that may run.")
    def active(self) -> int:
        return self.counts.active

    @strawberry.field(description="Those that wait for an administrator.")
    def pending(self) -> int:
        return self.counts.pending

    @strawberry.field(description="Those that an administrator has kept out.")
    def rejected(self) -> int:
        return self.counts.rejected

    @strawberry.field(description="Those whose MQTT session is up.")
    def online(self) -> int:
        return self.counts.online

    @strawberry.field(description="Those that run their newest config.")
    def in_sync(self) -> int:
        return self.counts.in_sync

    @strawberry.field(description="Those that have not applied their newest config, or could not.")
    def out_of_sync(self) -> int:
        return self.counts.out_of_sync

    @strawberry.field(
        description="The same for each owner, by name; at most 500 of them.",
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
