from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from db.tables.devices import AnyDevice
from domain.devices.enrolment import DeviceState as State
from domain.inputs import Page
from resolvers.devices import links
from resolvers.devices import queries as devices
from schema.common.counts import shared
from schema.common.metadata import COST, READ
from schema.common.page_info import After, First
from schema.context import RollcallInfo
from schema.devices.config import Config
from schema.devices.link import Link
from schema.devices.topics import Topics

if TYPE_CHECKING:
    from schema.devices.device_connection import DeviceConnection

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
        devices.check_history(first)
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
    ) -> Annotated["DeviceConnection", strawberry.lazy("schema.devices.device_connection")]:
        from schema.devices.device_connection import DeviceConnection  # noqa: PLC0415  it holds devices

        desk, caller = info.context.desk, info.context.caller
        page = Page.check({"first": first, "after": after})
        return DeviceConnection(
            page=await links.sources(desk, caller, self.row, page),
            count=shared(lambda: links.count_sources(desk, caller, self.row)),
        )

    @strawberry.field(
        description="The devices that hear it now, by their links.", metadata={COST: READ}
    )
    async def listeners(
        self, info: RollcallInfo, first: First = 50, after: After = None
    ) -> Annotated["DeviceConnection", strawberry.lazy("schema.devices.device_connection")]:
        from schema.devices.device_connection import DeviceConnection  # noqa: PLC0415  it holds devices

        desk, caller = info.context.desk, info.context.caller
        page = Page.check({"first": first, "after": after})
        return DeviceConnection(
            page=await links.listeners(desk, caller, self.row, page),
            count=shared(lambda: links.count_listeners(desk, caller, self.row)),
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
