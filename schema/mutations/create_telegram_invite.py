from datetime import datetime

import strawberry

import schema.alerts.recipient  # noqa: F401  where RecipientRole is described
from domain.alerts.inputs import NewInvite
from domain.alerts.recipients import Role
from resolvers.alerts.invites import create_telegram_invite
from schema.alerts.invite import TelegramInvite
from schema.common.user_errors import UserError, UserErrors, errors_field
from schema.common.values import values_of
from schema.context import RollcallInfo


@strawberry.input(description="Whom to let in.")
class CreateTelegramInviteInput:
    role: Role = strawberry.field(
        default=Role.VIEWER, description="What may be done from the chat."
    )
    owner: str | None = strawberry.field(
        default=None, description="The only owner that the chat sees and is told of; left out: all."
    )
    note: str | None = strawberry.field(
        default=None, description="Whom it is for, up to 200 characters."
    )
    expires_at: datetime | None = strawberry.field(
        default=None, description="Until when it can be used; left out: for a week."
    )


@strawberry.type(description="The invitation.")
class CreateTelegramInvitePayload:
    invite: TelegramInvite | None = strawberry.field(
        default=None, description="Null if there are errors."
    )
    code: str | None = strawberry.field(
        default=None,
        description="Good for one chat: sent there as `/start <code>`. Shown this once.",
    )
    link: str | None = strawberry.field(
        default=None, description="Opens a chat with the bot, and sends the code."
    )
    group_link: str | None = strawberry.field(
        default=None, description="Adds the bot to a group, and sends the code there."
    )
    errors: list[UserError] = errors_field()


@strawberry.mutation(
    description="Lets a Telegram chat in: by a link that is good for one chat, which then has this "
    "role and owner. In a group, everybody there has them.",
    extensions=[UserErrors(CreateTelegramInvitePayload)],
)
async def create(
    info: RollcallInfo, input: CreateTelegramInviteInput
) -> CreateTelegramInvitePayload:
    wanted = NewInvite.check(values_of(input))
    new = await create_telegram_invite(info.context.desk, info.context.caller, wanted)
    bot = f"https://t.me/{new.bot}"
    return CreateTelegramInvitePayload(
        invite=TelegramInvite(row=new.invite),
        code=new.code,
        link=f"{bot}?start={new.code}",
        group_link=f"{bot}?startgroup={new.code}",
    )
