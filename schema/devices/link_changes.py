"""Mutations that create and remove links."""

import strawberry

from domain.devices.inputs import NewLink
from resolvers.devices import links
from schema.common.user_errors import UserError, UserErrors, errors_field
from schema.common.values import values_of
from schema.context import RollcallInfo
from schema.devices.link import Link


@strawberry.input(
    description="Which devices a device listens to: all devices of its owner, those of a place, of "
    "a measurement type or of both, or one device. A place or measurement type may be new: devices "
    "that are registered with it later are included."
)
class LinkDeviceInput:
    listener_id: strawberry.ID = strawberry.field(description="The id of the device that listens.")
    owner: str | None = strawberry.field(
        default=None,
        description="Owner of the devices listened to. It must be the listener's own owner, so it "
        "may be omitted.",
    )
    place: str | None = strawberry.field(default=None, description="Only devices in this place.")
    measurement_type: str | None = strawberry.field(
        default=None, description="Only devices of this measurement type."
    )
    device_id: strawberry.ID | None = strawberry.field(
        default=None,
        description="Only the device with this id; then omit `place` and `measurementType`.",
    )


@strawberry.type(description="The new link, or the existing one if it is the same.")
class LinkDevicePayload:
    link: Link | None = strawberry.field(default=None, description="Null if there are errors.")
    errors: list[UserError] = errors_field()


@strawberry.mutation(
    description="Lets a device listen to other devices. The topic filters are part of its config, "
    "which gets a new version. Devices that are registered later are included if they match.",
    extensions=[UserErrors(LinkDevicePayload)],
)
async def link_device(info: RollcallInfo, input: LinkDeviceInput) -> LinkDevicePayload:
    values = values_of(input)
    listener_id = str(values.pop("listener_id"))
    wanted = NewLink.check(values)
    row = await links.link_device(info.context.services, info.context.caller, listener_id, wanted)
    return LinkDevicePayload(link=Link(row=row))


@strawberry.input(description="The link to remove.")
class UnlinkDeviceInput:
    id: strawberry.ID = strawberry.field(description="The link's `id`.")


@strawberry.type(description="The removed link.")
class UnlinkDevicePayload:
    link: Link | None = strawberry.field(
        default=None, description="The link before its removal; null if there are errors."
    )
    errors: list[UserError] = errors_field()


@strawberry.mutation(
    description="Removes a link. The device still listens to devices that match another of its "
    "links.",
    extensions=[UserErrors(UnlinkDevicePayload)],
)
async def unlink_device(info: RollcallInfo, input: UnlinkDeviceInput) -> UnlinkDevicePayload:
    row = await links.unlink_device(info.context.services, info.context.caller, input.id)
    return UnlinkDevicePayload(link=Link(row=row))
