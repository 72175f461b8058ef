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
        "changed. DEVICE_MOVED: the device uses its new topics. DEVICE_LEFT: for its former owner, "
        "the device got another owner. DEVICE_REPLACED: the device "
        "replaced another one. DEVICE_DELETED: a device was deleted. DEVICE_APPROVED, "
        "DEVICE_REJECTED: decided by an administrator. ENROLMENT_REQUESTED: a known device "
        "registered without its token. DEVICE_OFFLINE: offline for longer than the server's limit. "
        "DEVICE_ONLINE: online again after that. CONFIG_CHANGED: a new config version. "
        "CONFIG_APPLIED: the device applied it, or reported why it could not. CONFIG_OVERDUE: the "
        "device did not apply it in time. DEVICE_LINKED, DEVICE_UNLINKED: a link was created or "
        "removed. TOKEN_CREATED, TOKEN_RENEWED, TOKEN_REVOKED: a token was created, replaced or "
        "revoked. TOKEN_CONFIRMED: a device used its token for the first time. RECIPIENT_INVITED, "
        "RECIPIENT_ADDED, RECIPIENT_REMOVED: a change of the recipients of alerts. Only "
        "administrators see events about recipients, and about tokens that are not a device's."
    ),
)


@strawberry.type(description="An entry of the audit log. Entries are never changed.")
class Event:
    entry: strawberry.Private[AuditEvent]

    @property
    def responses(self) -> dict[Any, Any]:
        return self.entry.responses

    @strawberry.field(
        description="Position in the event log. To resume a subscription after this event, pass it "
        "as `after`."
    )
    def cursor(self) -> strawberry.ID:
        return strawberry.ID(str(self.entry.event.id))

    @strawberry.field(description="When the event happened.")
    def at(self) -> datetime:
        return self.entry.event.at

    @strawberry.field(description="Kind of the event.")
    def kind(self) -> Kind:
        return Kind(self.entry.event.kind)

    @strawberry.field(
        description="Who caused it: `admin:<token id>`, `device:<device id>`, `enrol:<token id>`, "
        "`telegram:<chat id>`, `system`, `command line`. Ids other than those of devices are for "
        "administrators; others see `admin`, `enrol` or `telegram`."
    )
    def actor(self) -> str:
        return self.entry.actor

    @strawberry.field(
        description="Id of the device that the event is about, also if it was deleted."
    )
    def device_id(self) -> strawberry.ID | None:
        return strawberry.ID(self.entry.event.device_id) if self.entry.event.device_id else None

    @strawberry.field(
        description="The device in its present state; null if it was deleted or got another owner "
        "since."
    )
    def device(self) -> Device | None:
        return Device(row=self.entry.device) if self.entry.device else None

    @strawberry.field(description="Owner of the device or token that the event is about.")
    def owner(self) -> str | None:
        return self.entry.owner

    @strawberry.field(
        description="Values before the change; only those that changed. A token of one owner sees "
        "no names and topics of another owner, from which the device came."
    )
    def before(self) -> JSON | None:
        return None if self.entry.before is None else JSON(self.entry.before)

    @strawberry.field(description="Values after the change.")
    def after(self) -> JSON | None:
        return None if self.entry.after is None else JSON(self.entry.after)


@strawberry.input(description="Only events that match every given field.")
class EventFilter:
    device_id: strawberry.ID | None = strawberry.field(
        default=None, description="Only events about this device, also if it was deleted."
    )
    owner: str | None = strawberry.field(default=None, description="Only events about this owner.")
    kinds: list[Kind] | None = strawberry.field(
        default=None, description="Only events of these kinds."
    )
    actor: str | None = strawberry.field(
        default=None,
        description="Only events caused by this actor, as `Event.actor` shows it to this token.",
    )
    since: datetime | None = strawberry.field(
        default=None, description="Only events at or after this time."
    )
    until: datetime | None = strawberry.field(
        default=None, description="Only events before this time."
    )


@strawberry.type(description="An event with its cursor.")
class EventEdge:
    node: Event = strawberry.field(description="The event.")
    cursor: str = strawberry.field(description="Position in the list, for `after` of `events`.")


@strawberry.type(description="A page of events, newest first.")
class EventConnection:
    page: strawberry.Private[Slice[AuditEvent]]

    @strawberry.field(description="The events of this page.")
    def nodes(self) -> list[Event]:
        return [Event(entry=event) for event in self.page.rows]

    @strawberry.field(description="The events of this page with their cursors.")
    def edges(self) -> list[EventEdge]:
        pairs = zip(self.page.rows, self.page.cursors, strict=True)
        return [EventEdge(node=Event(entry=event), cursor=cursor) for event, cursor in pairs]

    @strawberry.field(description="Position of this page in the list.")
    def page_info(self) -> PageInfo:
        return PageInfo.of(self.page)
