from typing import Annotated

import strawberry

from domain.access.tokens import TokenKind as Kind
from domain.alerts.inputs import DeliveryFilter as WantedDeliveries
from domain.devices.inputs import DeviceFilter as Wanted
from domain.events.inputs import EventFilter as WantedEvents
from domain.inputs import Page
from resolvers.access import tokens
from resolvers.alerts import deliveries, recipients
from resolvers.alerts.invites import list_telegram_invites
from resolvers.devices import queries as device_queries
from resolvers.devices.requests import list_requests
from resolvers.events.browse import list_events
from resolvers.events.subscribe import latest_cursor
from schema.access.token import TokenConnection
from schema.alerts.delivery import DeliveryConnection, DeliveryFilter
from schema.alerts.invite import TelegramInviteConnection
from schema.alerts.recipient import RecipientConnection
from schema.common.counts import cached_count
from schema.common.metadata import CALLER_ONLY
from schema.common.page_info import After, First
from schema.common.values import values_of
from schema.context import RollcallInfo
from schema.devices.config import Config
from schema.devices.device import Device, DeviceConnection, DeviceFilter
from schema.devices.enrolment_request import EnrolmentRequestConnection
from schema.devices.fleet import Fleet
from schema.devices.topics import Topics
from schema.events.event import EventConnection, EventFilter

DeviceId = Annotated[strawberry.ID, strawberry.argument(description="32 hexadecimal digits.")]


@strawberry.type(
    description="Read operations. Objects that the token may not see are treated as not existing."
)
class Query:
    @strawberry.field(
        description="The device that the token belongs to; null if it is not a device token.",
        metadata={CALLER_ONLY: True},
    )
    async def me(self, info: RollcallInfo) -> Device | None:
        context = info.context
        row = await device_queries.me(context.services, context.caller, context.caller_device)
        return Device(row=row) if row else None

    @strawberry.field(description="A device by its id; null if there is no such device.")
    async def device(self, info: RollcallInfo, id: DeviceId) -> Device | None:
        row = await device_queries.device(info.context.services, info.context.caller, id)
        return Device(row=row) if row else None

    @strawberry.field(description="Devices, in the order of their registration.")
    async def devices(
        self,
        info: RollcallInfo,
        first: First = 50,
        after: After = None,
        filter: Annotated[
            DeviceFilter | None, strawberry.argument(description="Which devices; all if omitted.")
        ] = None,
    ) -> DeviceConnection:
        wanted = Wanted.check(values_of(filter) if filter else {})
        services, caller = info.context.services, info.context.caller
        page = Page.check({"first": first, "after": after})
        return DeviceConnection(
            page=await device_queries.list_devices(services, caller, wanted, page),
            count=cached_count(lambda: device_queries.count_devices(services, caller, wanted)),
        )

    @strawberry.field(description="Numbers of devices by state, of those that the token may see.")
    async def fleet(self, info: RollcallInfo) -> Fleet:
        return Fleet(
            counts=await device_queries.count_fleet(info.context.services, info.context.caller)
        )

    @strawberry.field(description="A device's MQTT topics; null if there is no such device.")
    async def topics(self, info: RollcallInfo, device_id: DeviceId) -> Topics | None:
        row = await device_queries.device(info.context.services, info.context.caller, device_id)
        return Topics.of(row.topics) if row else None

    @strawberry.field(description="A device's desired config; null if there is no such device.")
    async def config(self, info: RollcallInfo, device_id: DeviceId) -> Config | None:
        row = await device_queries.device(info.context.services, info.context.caller, device_id)
        return Config.of(row.config) if row else None

    @strawberry.field(
        description="Open requests to act as a device, newest first; for administrators."
    )
    async def enrolment_requests(
        self, info: RollcallInfo, first: First = 50, after: After = None
    ) -> EnrolmentRequestConnection:
        page = Page.check({"first": first, "after": after})
        return EnrolmentRequestConnection(
            page=await list_requests(info.context.services, info.context.caller, page)
        )

    @strawberry.field(description="The audit log, newest events first.")
    async def events(
        self,
        info: RollcallInfo,
        first: First = 50,
        after: After = None,
        filter: Annotated[
            EventFilter | None, strawberry.argument(description="Which events; all if omitted.")
        ] = None,
    ) -> EventConnection:
        wanted = WantedEvents.check(values_of(filter) if filter else {})
        page = Page.check({"first": first, "after": after})
        return EventConnection(
            page=await list_events(info.context.services, info.context.caller, wanted, page)
        )

    @strawberry.field(
        description="The cursor of the newest event in the log. To miss no change: read this "
        "cursor, then read the data, then subscribe with the cursor as `after` "
        "(`configChanged`, `eventAdded`)."
    )
    async def latest_cursor(self, info: RollcallInfo) -> strawberry.ID:
        return strawberry.ID(await latest_cursor(info.context.services, info.context.caller))

    @strawberry.field(
        description="Tokens, oldest first. Device tokens are listed only with `kind: DEVICE`."
    )
    async def tokens(
        self,
        info: RollcallInfo,
        first: First = 50,
        after: After = None,
        kind: Annotated[Kind | None, strawberry.argument(description="Only this kind.")] = None,
    ) -> TokenConnection:
        page = Page.check({"first": first, "after": after})
        return TokenConnection(
            page=await tokens.list_tokens(info.context.services, info.context.caller, kind, page)
        )

    @strawberry.field(description="Recipients of alerts; for administrators.")
    async def recipients(
        self, info: RollcallInfo, first: First = 50, after: After = None
    ) -> RecipientConnection:
        page = Page.check({"first": first, "after": after})
        return RecipientConnection(
            page=await recipients.list_recipients(info.context.services, info.context.caller, page)
        )

    @strawberry.field(description="Invitations for Telegram chats, newest first.")
    async def telegram_invites(
        self, info: RollcallInfo, first: First = 50, after: After = None
    ) -> TelegramInviteConnection:
        page = Page.check({"first": first, "after": after})
        return TelegramInviteConnection(
            page=await list_telegram_invites(info.context.services, info.context.caller, page)
        )

    @strawberry.field(
        description="Deliveries of alerts, newest first; for administrators. Deliveries that were "
        "sent or have failed are kept for 30 days."
    )
    async def deliveries(
        self,
        info: RollcallInfo,
        first: First = 50,
        after: After = None,
        filter: Annotated[
            DeliveryFilter | None,
            strawberry.argument(description="Which deliveries; all if omitted."),
        ] = None,
    ) -> DeliveryConnection:
        wanted = WantedDeliveries.check(values_of(filter) if filter else {})
        page = Page.check({"first": first, "after": after})
        services, caller = info.context.services, info.context.caller
        return DeliveryConnection(
            page=await deliveries.list_deliveries(services, caller, wanted, page)
        )
