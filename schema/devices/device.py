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
from schema.devices.enrolment_request import EnrolmentRequest
from schema.devices.link import Link
from schema.devices.topics import Topics

DeviceState = strawberry.enum(
    State,
    name="DeviceState",
    description=(
        "PENDING: new, waits for approval by an administrator. ACTIVE: may run. "
        "REJECTED: refused by an administrator."
    ),
)


@strawberry.type(description="The location of a device.")
class Location:
    place: str = strawberry.field(description="The city's or room's name.")
    latitude: float | None = strawberry.field(description="Degrees north, -90 to 90.")
    longitude: float | None = strawberry.field(description="Degrees east, -180 to 180.")


@strawberry.type(description="A registered device.")
class Device:
    row: strawberry.Private[AnyDevice]

    @strawberry.field(
        description="First 128 bits of the SHA-256 of the MAC address, in 32 hexadecimal digits; "
        "not a secret."
    )
    def id(self) -> strawberry.ID:
        return strawberry.ID(self.row.id)

    @strawberry.field(description="The company or person that the device belongs to.")
    def owner(self) -> str:
        return self.row.owner.name

    @strawberry.field(description="Where the device is.")
    def location(self) -> Location:
        return Location(
            place=self.row.place.name, latitude=self.row.latitude, longitude=self.row.longitude
        )

    @strawberry.field(description="What the device measures or does.")
    def measurement_type(self) -> str:
        return self.row.measurement_type.name

    @strawberry.field(description="The sensor model.")
    def sensor_model(self) -> str | None:
        return self.row.sensor_model

    @strawberry.field(description="The firmware version.")
    def firmware(self) -> str | None:
        return self.row.firmware

    @strawberry.field(description="Whether the device may run.")
    def state(self) -> State:
        return State(self.row.state)

    @strawberry.field(
        description="Whether `approveDevice` is needed: for the device itself if it is PENDING, "
        "else for a new token that a known device requested without its old one."
    )
    def awaits_approval(self) -> bool:
        return self.row.awaits_approval

    @strawberry.field(
        description="The open requests to act as this device, oldest first: at most five. For "
        "administrators; empty for other callers. Administrators who are not restricted to an "
        "owner see up to five more, of keys for other owners.",
        metadata={COST: 8},
    )
    async def enrolment_requests(self, info: RollcallInfo) -> list[EnrolmentRequest]:
        found = await info.context.enrolment_requests.load(self.row.id)
        return [EnrolmentRequest(entry=entry) for entry in found]

    @strawberry.field(description="The device's MQTT topics.")
    def topics(self) -> Topics:
        return Topics.of(self.row.topics)

    @strawberry.field(description="The desired config: what the device should do.")
    def config(self) -> Config:
        return Config.of(self.row.config)

    @strawberry.field(
        description="The config that the device last reported as applied; null before the first "
        "report.",
        metadata={COST: 8},
    )
    async def applied_config(self, info: RollcallInfo) -> Config | None:
        version = self.row.applied_version
        if version is None:
            return None
        if version == self.row.config_version:
            return Config.of(self.row.config)
        replaced = await info.context.past_configs.load((self.row.id, version))
        return Config.of(replaced, replaced=True) if replaced else None

    @strawberry.field(
        description="When `appliedConfig` was reported; null before the first report."
    )
    def applied_at(self) -> datetime | None:
        return self.row.applied_at

    @strawberry.field(
        description="Why the device could not apply the last config version that it reported; null "
        "if it could."
    )
    def config_error(self) -> str | None:
        return self.row.applied_error

    @strawberry.field(description="Whether the applied config is the desired one.")
    def in_sync(self) -> bool:
        return self.row.in_sync

    @strawberry.field(description="The newest config versions, newest first.")
    async def config_history(self, info: RollcallInfo, first: int = 20) -> list[Config]:
        device_queries.check_history(first)
        history = await info.context.config_histories.load((self.row, first))
        present = self.row.config_version
        return [Config.of(config, replaced=config.version != present) for config in history]

    @strawberry.field(
        description="The rules that decide which devices this device listens to; oldest first.",
        metadata={COST: 8},
    )
    async def links(self, info: RollcallInfo) -> list[Link]:
        return [Link(row=row) for row in await info.context.links.load(self.row.id)]

    @strawberry.field(
        description="The devices that this device listens to now, by its links.",
        metadata={COST: READ},
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
        description="The devices that listen to this device now, by their links.",
        metadata={COST: READ},
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

    @strawberry.field(description="Whether the device's MQTT session is connected.")
    def online(self) -> bool:
        return self.row.online

    @strawberry.field(description="When `online` last changed.")
    def status_at(self) -> datetime | None:
        return self.row.status_at

    @strawberry.field(description="Time of the device's last valid request or MQTT report.")
    def last_seen_at(self) -> datetime | None:
        return self.row.last_seen_at

    @strawberry.field(description="When the device was first registered.")
    def registered_at(self) -> datetime:
        return self.row.registered_at

    @strawberry.field(
        description="When owner, location, measurement type, model or firmware last changed."
    )
    def updated_at(self) -> datetime:
        return self.row.updated_at


@strawberry.input(
    description="Only devices that match every given field. Case and spacing of names are ignored."
)
class DeviceFilter:
    owner: str | None = strawberry.field(default=None, description="The owner's name.")
    place: str | None = strawberry.field(default=None, description="The place's name.")
    measurement_type: str | None = strawberry.field(default=None, description="The type's name.")
    sensor_model: str | None = strawberry.field(
        default=None, description="The sensor model; case is ignored."
    )
    state: State | None = strawberry.field(default=None, description="The device's state.")
    awaits_approval: bool | None = strawberry.field(
        default=None, description="Whether `approveDevice` is needed."
    )
    in_sync: bool | None = strawberry.field(
        default=None, description="Whether the applied config is the desired one."
    )
    online: bool | None = strawberry.field(
        default=None, description="Whether the device's MQTT session is connected."
    )
    search: str | None = strawberry.field(
        default=None,
        description="Words that must all match the beginning of a word in the names, sensor model, "
        "firmware or id; or a complete MAC address.",
    )


@strawberry.type(description="A device with its cursor.")
class DeviceEdge:
    node: Device = strawberry.field(description="The device.")
    cursor: str = strawberry.field(description="Position in the list, for `after`.")


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

    @strawberry.field(description="Position of this page in the list.")
    def page_info(self) -> PageInfo:
        return PageInfo.of(self.page)

    @strawberry.field(
        description="Number of devices on all pages. Exact up to 10,000; above that an estimate, "
        "usually within a few per cent (see `totalCountIsExact`)."
    )
    async def total_count(self) -> int:
        return (await self.count())[0]

    @strawberry.field(description="Whether `totalCount` is exact, not an estimate.")
    async def total_count_is_exact(self) -> bool:
        return (await self.count())[1]
