"""Mutations of Telegram invitations and alert recipients."""

from datetime import datetime

import strawberry

import schema.alerts.recipient  # noqa: F401  registers RecipientRole
from domain.alerts.inputs import NewInvite
from domain.alerts.recipients import Role
from resolvers.alerts import invites, recipients
from schema.alerts.invite import TelegramInvite
from schema.alerts.recipient import Recipient
from schema.common.user_errors import UserError, UserErrors, errors_field
from schema.common.values import values_of
from schema.context import RollcallInfo


@strawberry.input(description="Properties of the new invitation.")
class CreateTelegramInviteInput:
    role: Role = strawberry.field(
        default=Role.VIEWER, description="What members of the chat may do."
    )
    owner: str | None = strawberry.field(
        default=None,
        description="The owner whose devices the chat may see; if omitted, all owners.",
    )
    note: str | None = strawberry.field(
        default=None, description="Who the invitation is for, up to 200 characters."
    )
    expires_at: datetime | None = strawberry.field(
        default=None, description="When the invitation expires; if omitted, after one week."
    )


@strawberry.type(description="The new invitation.")
class CreateTelegramInvitePayload:
    invite: TelegramInvite | None = strawberry.field(
        default=None, description="Null if there are errors."
    )
    code: str | None = strawberry.field(
        default=None,
        description="Code for one chat: send it there as `/start <code>`. Shown only once.",
    )
    link: str | None = strawberry.field(
        default=None, description="Link that opens a chat with the bot and sends the code."
    )
    group_link: str | None = strawberry.field(
        default=None, description="Link that adds the bot to a group and sends the code."
    )
    errors: list[UserError] = errors_field()


@strawberry.mutation(
    description="Creates an invitation for one Telegram chat. The chat that uses it becomes a "
    "recipient with this role and owner; in a group, they apply to every member.",
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


@strawberry.input(description="The invitation to revoke.")
class RevokeTelegramInviteInput:
    id: strawberry.ID = strawberry.field(description="The invitation's `id`, not its code.")


@strawberry.type(description="The revoked invitation.")
class RevokeTelegramInvitePayload:
    invite: TelegramInvite | None = strawberry.field(
        default=None, description="Null if there are errors."
    )
    errors: list[UserError] = errors_field()


@strawberry.mutation(
    description="Revokes an invitation, so that it can't be used. A chat that has used it stays a "
    "recipient: see `removeRecipient`.",
    extensions=[UserErrors(RevokeTelegramInvitePayload)],
)
async def revoke_telegram_invite(
    info: RollcallInfo, input: RevokeTelegramInviteInput
) -> RevokeTelegramInvitePayload:
    row = await invites.revoke_telegram_invite(info.context.services, info.context.caller, input.id)
    return RevokeTelegramInvitePayload(invite=TelegramInvite(row=row))


@strawberry.input(description="The recipient to remove.")
class RemoveRecipientInput:
    id: strawberry.ID = strawberry.field(description="The recipient's `id`.")


@strawberry.type(description="The removed recipient.")
class RemoveRecipientPayload:
    recipient: Recipient | None = strawberry.field(
        default=None, description="The recipient before its removal; null if there are errors."
    )
    errors: list[UserError] = errors_field()


@strawberry.mutation(
    description="Removes a recipient. It gets no more alerts, also none that are waiting, and its "
    "commands to the bot are refused.",
    extensions=[UserErrors(RemoveRecipientPayload)],
)
async def remove_recipient(
    info: RollcallInfo, input: RemoveRecipientInput
) -> RemoveRecipientPayload:
    row = await recipients.remove_recipient(info.context.services, info.context.caller, input.id)
    return RemoveRecipientPayload(recipient=Recipient(row=row))
