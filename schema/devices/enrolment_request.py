from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from db.devices.requests import OpenEnrolment
from db.paging import Slice
from schema.access.token import Token
from schema.common.page_info import PageInfo

if TYPE_CHECKING:
    from schema.devices.device import Device


@strawberry.type(
    description="An open request: a caller without the device's own token wants to act as the "
    "device. Its pending token works after `approveDevice`."
)
class EnrolmentRequest:
    entry: strawberry.Private[OpenEnrolment]

    @strawberry.field(description="The number of the request, for `approveDevice`.")
    def id(self) -> strawberry.ID:
        return strawberry.ID(str(self.entry.row.id))

    @strawberry.field(description="The device whose MAC address the caller has given.")
    def device(self) -> Annotated["Device", strawberry.lazy("schema.devices.device")]:
        from schema.devices.device import Device  # noqa: PLC0415  the modules import each other

        return Device(row=self.entry.device)

    @strawberry.field(
        description="The enrolment key that was used; null if none was, or the token may not see "
        "the key."
    )
    def key(self) -> Token | None:
        return Token(row=self.entry.key) if self.entry.key else None

    @strawberry.field(description="The caller's IP address; null if it is not known.")
    def address(self) -> str | None:
        return self.entry.row.address

    @strawberry.field(description="The sensor model that the caller has stated last.")
    def sensor_model(self) -> str | None:
        return self.entry.row.sensor_model

    @strawberry.field(description="The firmware version that the caller has stated last.")
    def firmware(self) -> str | None:
        return self.entry.row.firmware

    @strawberry.field(
        description="How often the request was made: with the same key, from the same address."
    )
    def times_asked(self) -> int:
        return self.entry.row.times_asked

    @strawberry.field(description="When the request was made first.")
    def requested_at(self) -> datetime:
        return self.entry.row.requested_at

    @strawberry.field(description="When the request was made last.")
    def last_asked_at(self) -> datetime:
        return self.entry.row.last_asked_at

    @strawberry.field(
        description="Whether other requests for the same device are open: find out which caller "
        "is the device."
    )
    def conflict(self) -> bool:
        return self.entry.conflict

    @strawberry.field(
        description="Whether the key is restricted to another owner than the device's. Only "
        "administrators who are not restricted to an owner see such requests."
    )
    def foreign_owner(self) -> bool:
        return self.entry.row.foreign_owner


@strawberry.type(description="A request with its cursor.")
class EnrolmentRequestEdge:
    node: EnrolmentRequest = strawberry.field(description="The request.")
    cursor: str = strawberry.field(description="Position in the list, for `after`.")


@strawberry.type(description="A page of open requests, newest first.")
class EnrolmentRequestConnection:
    page: strawberry.Private[Slice[OpenEnrolment]]

    @strawberry.field(description="The requests of this page.")
    def nodes(self) -> list[EnrolmentRequest]:
        return [EnrolmentRequest(entry=entry) for entry in self.page.rows]

    @strawberry.field(description="The requests of this page with their cursors.")
    def edges(self) -> list[EnrolmentRequestEdge]:
        pairs = zip(self.page.rows, self.page.cursors, strict=True)
        return [
            EnrolmentRequestEdge(node=EnrolmentRequest(entry=entry), cursor=cursor)
            for entry, cursor in pairs
        ]

    @strawberry.field(description="Position of this page in the list.")
    def page_info(self) -> PageInfo:
        return PageInfo.of(self.page)
