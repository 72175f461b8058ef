import strawberry

from resolvers.devices.links import unlink_device
from schema.common.user_errors import UserError, UserErrors, errors_field
from schema.context import RollcallInfo
from schema.devices.link import Link


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
async def unlink(info: RollcallInfo, input: UnlinkDeviceInput) -> UnlinkDevicePayload:
    row = await unlink_device(info.context.desk, info.context.caller, input.id)
    return UnlinkDevicePayload(link=Link(row=row))
