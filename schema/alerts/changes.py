"""Invitations to chats, and recipients that are removed."""

from datetime import datetime

import strawberry

import schema.alerts.recipient  # noqa: F401  where RecipientRole is described
from domain.alerts.inputs import NewInvite
from domain.alerts.recipients import Role
from resolvers.alerts import invites, recipients
from schema.alerts.invite import TelegramInvite
from schema.alerts.recipient import Recipient
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
async def create_telegram_invite(
    info: RollcallInfo, input: CreateTelegramInviteInput
) -> CreateTelegramInvitePayload:
    wanted = NewInvite.check(values_of(input))
    new = await invites.create_telegram_invite(info.context.services, info.context.caller, wanted)
    bot = f"https://t.me/{new.bot}"
    return CreateTelegramInvitePayload(
        invite=TelegramInvite(row=new.invite),
        code=new.code,
        link=f"{bot}?start={new.code}",
        group_link=f"{bot}?startgroup={new.code}",
    )


@strawberry.input(description="Which invitation to take back.")
class RevokeTelegramInviteInput:
    id: strawberry.ID = strawberry.field(description="The invitation's number, not its code.")


@strawberry.type(description="The invitation as it is now.")
class RevokeTelegramInvitePayload:
    invite: TelegramInvite | None = strawberry.field(
        default=None, description="Null if there are errors."
    )
    errors: list[UserError] = errors_field()


@strawberry.mutation(
    description="Takes an invitation back, so that it lets nobody in any more. Whom it has let in "
    "stays: see `removeRecipient`.",
    extensions=[UserErrors(RevokeTelegramInvitePayload)],
)
async def revoke_telegram_invite(
    info: RollcallInfo, input: RevokeTelegramInviteInput
) -> RevokeTelegramInvitePayload:
    row = await invites.revoke_telegram_invite(info.context.services, info.context.caller, input.id)
    return RevokeTelegramInvitePayload(invite=TelegramInvite(row=row))


@strawberry.input(description="Whom to send away.")
class RemoveRecipientInput:
    id: strawberry.ID = strawberry.field(description="The recipient's number.")


@strawberry.type(description="Who was removed.")
class RemoveRecipientPayload:
    recipient: Recipient | None = strawberry.field(
        default=None, description="The recipient as it was; null if there are errors."
    )
    errors: list[UserError] = errors_field()


@strawberry.mutation(
    description="Removes a recipient: it is told nothing any more, what waits for it neither, and "
    "nothing can be done from there.",
    extensions=[UserErrors(RemoveRecipientPayload)],
)
async def remove_recipient(
    info: RollcallInfo, input: RemoveRecipientInput
) -> RemoveRecipientPayload:
    row = await recipients.remove_recipient(info.context.services, info.context.caller, input.id)
    return RemoveRecipientPayload(recipient=Recipient(row=row))
