from datetime import datetime
from typing import Any

import strawberry
from strawberry.scalars import JSON

from db.paging import Slice
from domain.events.kinds import EventKind as Kind
from resolvers.feed.entries import AuditEvent
from schema.common.page_info import PageInfo
from schema.devices.device import Device

EventKind = strawberry.enum(
    Kind,
    name="EventKind",
    description=(
        "DEVICE_REGISTERED: a new device. DEVICE_UPDATED: owner, location, type, model or firmware "
        "changed. DEVICE_MOVED: it uses its new topic. DEVICE_REPLACED: it took over "
        "another one's place. DEVICE_DELETED. DEVICE_APPROVED, "
        "DEVICE_REJECTED: by an administrator. ENROLMENT_REQUESTED: a known device came without "
        "its token. DEVICE_OFFLINE: gone for longer than the server allows. DEVICE_ONLINE: back "
        "after that. CONFIG_CHANGED: a new version. CONFIG_APPLIED: the device runs it, or could "
        "not. CONFIG_OVERDUE: it does not in time. DEVICE_LINKED, DEVICE_UNLINKED: what it hears. "
        "TOKEN_CREATED, TOKEN_RENEWED, TOKEN_REVOKED. TOKEN_CONFIRMED: a device's first use of it. "
        "RECIPIENT_INVITED, RECIPIENT_ADDED, RECIPIENT_REMOVED: who is told of events."
    ),
)


@strawberry.type(description="One entry of the audit log. None is ever changed.")
class Event:
    of: strawberry.Private[AuditEvent]

    @property
    def answers(self) -> dict[Any, Any]:
        return self.of.answers

    @strawberry.field(
        description="Where it stands in the log: `after` for whoever goes on from it."
    )
    def cursor(self) -> strawberry.ID:
        return strawberry.ID(str(self.of.event.id))

    @strawberry.field(description="When it happened.")
    def at(self) -> datetime:
        return self.of.event.at

    @strawberry.field(description="What happened.")
    def kind(self) -> Kind:
        return Kind(self.of.event.kind)

    @strawberry.field(
        description="Who did it: `admin:<token id>`, `device:<device id>`, `enrol:<token id>`, "
        "`telegram:<chat id>`, `system`, `command line`."
    )
    def actor(self) -> str:
        return self.of.event.actor

    @strawberry.field(description="The device that it is about, also one that is gone.")
    def device_id(self) -> strawberry.ID | None:
        return strawberry.ID(self.of.event.device_id) if self.of.event.device_id else None

    @strawberry.field(
        description="The device as it is by now; null where it was deleted, or has another owner."
    )
    def device(self) -> Device | None:
        return Device(row=self.of.device) if self.of.device else None

    @strawberry.field(description="Whose device or token it is about.")
    def owner(self) -> str | None:
        return self.of.owner

    @strawberry.field(description="What it was before, as far as it has changed.")
    def before(self) -> JSON | None:
        return None if self.of.event.before is None else JSON(self.of.event.before)

    @strawberry.field(description="What it is after that.")
    def after(self) -> JSON | None:
        return None if self.of.event.after is None else JSON(self.of.event.after)


@strawberry.input(description="All that is given must hold.")
class EventFilter:
    device_id: strawberry.ID | None = strawberry.field(
        default=None, description="Only about this device, which may be gone."
    )
    owner: str | None = strawberry.field(default=None, description="Only about this owner's.")
    kinds: list[Kind] | None = strawberry.field(default=None, description="Only of these kinds.")
    actor: str | None = strawberry.field(
        default=None, description="Only by this actor, such as `admin:1`."
    )
    since: datetime | None = strawberry.field(default=None, description="Not before this moment.")
    until: datetime | None = strawberry.field(default=None, description="Before this moment.")


@strawberry.type(description="An event in a list.")
class EventEdge:
    node: Event = strawberry.field(description="The event.")
    cursor: str = strawberry.field(description="Its place in the list, for `after` of `events`.")


@strawberry.type(description="A page of events, the newest first.")
class EventConnection:
    page: strawberry.Private[Slice[AuditEvent]]

    @strawberry.field(description="The events of this page.")
    def nodes(self) -> list[Event]:
        return [Event(of=event) for event in self.page.rows]

    @strawberry.field(description="The events of this page with their cursors.")
    def edges(self) -> list[EventEdge]:
        pairs = zip(self.page.rows, self.page.cursors, strict=True)
        return [EventEdge(node=Event(of=event), cursor=cursor) for event, cursor in pairs]

    @strawberry.field(description="Where this page stands in the list.")
    def page_info(self) -> PageInfo:
        return PageInfo.of(self.page)
