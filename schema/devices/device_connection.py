from collections.abc import Awaitable, Callable, Sequence

import strawberry

from db.paging import Rows
from db.tables.devices import AnyDevice
from db.tables.devices import Device as DeviceRow
from domain.devices.device import DeviceView
from domain.devices.enrolment import DeviceState as State
from schema.common.page_info import PageInfo
from schema.devices.device import Device


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
    page: strawberry.Private[Rows[DeviceRow] | Rows[DeviceView]]
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
