from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

import strawberry

from db.paging import Slice
from db.tables.devices import AnyDevice, DeviceRow
from domain.devices.device import DeviceRecord
from domain.devices.enrolment import DeviceState as State
from domain.inputs import Page
from resolvers.devices import links
from resolvers.devices import queries as device_queries
from schema.common.counts import cached_count
from schema.common.metadata import COST, READ
from schema.common.page_info import After, First, PageInfo
from schema.context import RollcallInfo
from schema.devices.config import Config
from schema.devices.link import Link
from schema.devices.topics import Topics

DeviceState = strawberry.enum(
    State,
    name="DeviceState",
    description=(
        "PENDING: new, waits for an administrator. ACTIVE: may run. "
        "REJECTED: an administrator said no."
    ),
)


@strawberry.type(description="Where a device stands.")
class Location:
    place: str = strawberry.field(description="The city's or room's name.")
    latitude: float | None = strawberry.field(description="Degrees north, -90 to 90.")
    longitude: float | None = strawberry.field(description="Degrees east, -180 to 180.")


@strawberry.type(description="A registered device.")
class Device:
    row: strawberry.Private[AnyDevice]

    @strawberry.field(
        description="First 128 bits of SHA-256 over the MAC address, 32 hex digits; no secret."
    )
    def id(self) -> strawberry.ID:
        return strawberry.ID(self.row.id)

    @strawberry.field(description="The company or person it belongs to.")
    def owner(self) -> str:
        return self.row.owner.name

    @strawberry.field(description="Where it stands.")
    def location(self) -> Location:
        return Location(
            place=self.row.place.name, latitude=self.row.latitude, longitude=self.row.longitude
        )

    @strawberry.field(description="What it measures, or does.")
    def measurement_type(self) -> str:
        return self.row.measurement_type.name

    @strawberry.field(description="The model of its sensor, as the device tells it.")
    def sensor_model(self) -> str | None:
        return self.row.sensor_model

    @strawberry.field(description="The version of its firmware, as the device tells it.")
    def firmware(self) -> str | None:
        return self.row.firmware

    @strawberry.field(description="Whether it may run.")
    def state(self) -> State:
        return State(self.row.state)

    @strawberry.field(
        description="Something waits for `approveDevice`: the device itself where it is PENDING, "
        "else the new token of a known device that came without its old one."
    )
    def awaits_approval(self) -> bool:
        return self.row.awaits_approval

    @strawberry.field(description="Its MQTT topics.")
    def topics(self) -> Topics:
        return Topics.of(self.row.topics)

    @strawberry.field(description="The desired config: what it should do.")
    def config(self) -> Config:
        return Config.of(self.row.config)

    @strawberry.field(
        description="The config it has applied, as it told us; null before it did.",
        metadata={COST: 8},
    )
    async def applied_config(self, info: RollcallInfo) -> Config | None:
        version = self.row.applied_version
        if version is None:
            return None
        if version == self.row.config_version:
            return Config.of(self.row.config)
        past = await info.context.past_configs.load((self.row.id, version))
        return Config.of(past) if past else None

    @strawberry.field(description="When it told us so.")
    def applied_at(self) -> datetime | None:
        return self.row.applied_at

    @strawberry.field(description="Why it could not apply the newest config it tried, if so.")
    def config_error(self) -> str | None:
        return self.row.applied_error

    @strawberry.field(description="Whether the applied config is the desired one.")
    def in_sync(self) -> bool:
        return self.row.in_sync

    @strawberry.field(description="The newest versions of its config, the newest first.")
    async def config_history(self, info: RollcallInfo, first: int = 20) -> list[Config]:
        device_queries.check_history(first)
        history = await info.context.config_histories.load((self.row, first))
        return [Config.of(config) for config in history]

    @strawberry.field(description="Whom it hears, by links; the oldest first.", metadata={COST: 8})
    async def links(self, info: RollcallInfo) -> list[Link]:
        return [Link(row=row) for row in await info.context.links.load(self.row.id)]

    @strawberry.field(
        description="The devices that it hears now, by its links.", metadata={COST: READ}
    )
    async def sources(
        self, info: RollcallInfo, first: First = 50, after: After = None
    ) -> "DeviceConnection":
        services, caller = info.context.services, info.context.caller
        page = Page.check({"first": first, "after": after})
        return DeviceConnection(
            page=await links.sources(services, caller, self.row, page),
            count=cached_count(lambda: links.count_sources(services, caller, self.row)),
        )

    @strawberry.field(
        description="The devices that hear it now, by their links.", metadata={COST: READ}
    )
    async def listeners(
        self, info: RollcallInfo, first: First = 50, after: After = None
    ) -> "DeviceConnection":
        services, caller = info.context.services, info.context.caller
        page = Page.check({"first": first, "after": after})
        return DeviceConnection(
            page=await links.listeners(services, caller, self.row, page),
            count=cached_count(lambda: links.count_listeners(services, caller, self.row)),
        )

    @strawberry.field(description="Whether its MQTT session is up.")
    def online(self) -> bool:
        return self.row.online

    @strawberry.field(description="When that last changed.")
    def status_at(self) -> datetime | None:
        return self.row.status_at

    @strawberry.field(description="When it was last heard from.")
    def last_seen_at(self) -> datetime | None:
        return self.row.last_seen_at

    @strawberry.field(description="When it was first registered.")
    def registered_at(self) -> datetime:
        return self.row.registered_at

    @strawberry.field(description="When owner, location, type, model or firmware last changed.")
    def updated_at(self) -> datetime:
        return self.row.updated_at


@strawberry.input(
    description="All that is given must hold. Names match whatever their case and spacing."
)
class DeviceFilter:
    owner: str | None = strawberry.field(default=None, description="The owner's name.")
    place: str | None = strawberry.field(default=None, description="The place's name.")
    measurement_type: str | None = strawberry.field(default=None, description="The type's name.")
    sensor_model: str | None = strawberry.field(
        default=None, description="The sensor model, whatever its case."
    )
    state: State | None = strawberry.field(default=None, description="The device's state.")
    awaits_approval: bool | None = strawberry.field(
        default=None, description="Whether something waits for `approveDevice`."
    )
    in_sync: bool | None = strawberry.field(
        default=None, description="Whether the applied config is the desired one."
    )
    online: bool | None = strawberry.field(
        default=None, description="Whether its MQTT session is up."
    )
    search: str | None = strawberry.field(
        default=None,
        description="Words, each the beginning of one in names, sensor model, firmware or id; "
        "or a whole MAC address.",
    )


@strawberry.type(description="A device in a list.")
class DeviceEdge:
    node: Device = strawberry.field(description="The device.")
    cursor: str = strawberry.field(description="Its place in the list, for `after`.")


@strawberry.type(description="A page of devices, in the order of their registration.")
class DeviceConnection:
    page: strawberry.Private[Slice[DeviceRow] | Slice[DeviceRecord]]
    count: strawberry.Private[Callable[[], Awaitable[tuple[int, bool]]]]

    @strawberry.field(description="The devices of this page.")
    def nodes(self) -> list[Device]:
        return [Device(row=row) for row in self.page.rows]

    @strawberry.field(description="The devices of this page with their cursors.")
    def edges(self) -> list[DeviceEdge]:
        rows: Sequence[AnyDevice] = self.page.rows
        pairs = zip(rows, self.page.cursors, strict=True)
        return [DeviceEdge(node=Device(row=row), cursor=cursor) for row, cursor in pairs]

    @strawberry.field(description="Where this page stands in the list.")
    def page_info(self) -> PageInfo:
        return PageInfo.of(self.page)

    @strawberry.field(
        description="Devices on all pages. Counted up to 10,000; above that the database's "
        "estimate, usually within a few per cent (see `totalCountIsExact`)."
    )
    async def total_count(self) -> int:
        return (await self.count())[0]

    @strawberry.field(description="Whether `totalCount` was counted rather than estimated.")
    async def total_count_is_exact(self) -> bool:
        return (await self.count())[1]
