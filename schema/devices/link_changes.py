"""Links made and removed."""

import strawberry

from domain.devices.inputs import NewLink
from resolvers.devices import links
from schema.common.user_errors import UserError, UserErrors, errors_field
from schema.common.values import values_of
from schema.context import RollcallInfo
from schema.devices.link import Link


@strawberry.input(
    description="Whom a device shall hear: its owner's devices, by place, by measurement type or "
    "by both, or one device. Names that the owner has none of yet are kept for devices to come."
)
class LinkDeviceInput:
    listener_id: strawberry.ID = strawberry.field(description="The device that hears.")
    owner: str | None = strawberry.field(
        default=None,
        description="Whose devices it hears; may be left out, since it can only be its own owner.",
    )
    place: str | None = strawberry.field(default=None, description="Only those of this place.")
    measurement_type: str | None = strawberry.field(
        default=None, description="Only those of this measurement type."
    )
    device_id: strawberry.ID | None = strawberry.field(
        default=None, description="Only this device; without place and measurement type."
    )


@strawberry.type(description="The link.")
class LinkDevicePayload:
    link: Link | None = strawberry.field(default=None, description="Null if there are errors.")
    errors: list[UserError] = errors_field()


@strawberry.mutation(
    description="Lets a device hear others. What it hears is part of its config, which gets a new "
    "version; devices that come later are heard by themselves.",
    extensions=[UserErrors(LinkDevicePayload)],
)
async def link_device(info: RollcallInfo, input: LinkDeviceInput) -> LinkDevicePayload:
    values = values_of(input)
    listener_id = str(values.pop("listener_id"))
    wanted = NewLink.check(values)
    row = await links.link_device(info.context.services, info.context.caller, listener_id, wanted)
    return LinkDevicePayload(link=Link(row=row))


@strawberry.input(description="Which link to remove.")
class UnlinkDeviceInput:
    id: strawberry.ID = strawberry.field(description="The link's number.")


@strawberry.type(description="What was removed.")
class UnlinkDevicePayload:
    link: Link | None = strawberry.field(
        default=None, description="The link as it was; null if there are errors."
    )
    errors: list[UserError] = errors_field()


@strawberry.mutation(
    description="Removes a link. What another link of the device covers is still heard.",
    extensions=[UserErrors(UnlinkDevicePayload)],
)
async def unlink_device(info: RollcallInfo, input: UnlinkDeviceInput) -> UnlinkDevicePayload:
    row = await links.unlink_device(info.context.services, info.context.caller, input.id)
    return UnlinkDevicePayload(link=Link(row=row))
