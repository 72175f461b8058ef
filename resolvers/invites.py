"""How a chat becomes a recipient: an administrator makes a code, and it is sent from there."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from db import invites, recipients
from db.alert_tables import Invite, Recipient
from db.events import record
from domain.access import Action, Caller
from domain.alerts import Role, telegram_caller
from domain.errors import ErrorCode, InputError
from domain.events import EventKind
from domain.inputs import NewInvite
from domain.tokens import hash_secret
from resolvers.desk import Desk
from resolvers.new_device import owner_for

TELEGRAM = "telegram"
# What a deep link can carry: letters, digits, - and _ (core.telegram.org/bots/features).
CODE_BYTES = 16
VALID = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class NewCode:
    """`bot`: the name of the bot that takes the code."""

    invite: Invite
    code: str
    bot: str


async def create_telegram_invite(desk: Desk, caller: Caller, wanted: NewInvite) -> NewCode:
    """The code is in the answer, and nowhere else; it is good for one chat."""
    caller.require(Action.MANAGE_RECIPIENTS)
    async with desk.database.begin() as session:
        bot = await invites.bot_name(session)
        if bot is None:
            raise InputError.at(
                None,
                "No Telegram bot has been met yet: start the server with TELEGRAM_BOT_TOKEN, and "
                "see its log.",
                ErrorCode.CONFLICT,
            )
        confined = wanted.owner is not None or caller.owner_id is not None
        owner = await owner_for(session, caller, wanted.owner) if confined else None
        code, now = secrets.token_urlsafe(CODE_BYTES), datetime.now(UTC)
        invite = Invite(
            hash=hash_secret(code),
            role=wanted.role,
            owner=owner,
            note=wanted.note or None,
            created_at=now,
            created_by=caller.actor,
            expires_at=wanted.expires_at or now + VALID,
        )
        session.add(invite)
        await session.flush()
        facts = {"channel": TELEGRAM, "role": invite.role, "note": invite.note}
        record(
            session,
            EventKind.RECIPIENT_INVITED,
            caller,
            owner_id=invite.owner_id,
            after={**facts, "owner": owner.name if owner else None},
        )
        return NewCode(invite, code, bot)


async def accept_telegram_invite(
    desk: Desk, code: str, chat: str, name: str | None, language: str
) -> Recipient | None:
    """None for a code that is unknown, used or too old; the same chat may send it again."""
    async with desk.database.begin() as session:
        invite = await invites.by_hash(session, hash_secret(code))
        now = datetime.now(UTC)
        if invite is None or (invite.used_by or chat) != chat or invite.expires_at <= now:
            return None
        recipient = await recipients.find(session, TELEGRAM, chat)
        if recipient is None:
            recipient = Recipient(channel=TELEGRAM, address=chat, source=invite.created_by)
            session.add(recipient)
        elif recipient.off_reason == recipients.NOT_IN_SETTINGS:
            recipient.source = invite.created_by
        # One that the settings name is told of all owners, whatever else it is invited to.
        if recipient.source != recipients.SETTINGS:
            recipient.owner, recipient.role = invite.owner, invite.role
        elif invite.owner_id is None:
            recipient.role = invite.role
        recipient.language, recipient.name, recipient.off_reason = language, name, None
        if invite.used_at is None:
            invite.used_at, invite.used_by = now, chat
            await session.flush()
            caller = telegram_caller(Role(recipient.role), recipient.owner_id, chat, None)
            record(
                session,
                EventKind.RECIPIENT_ADDED,
                caller,
                owner_id=recipient.owner_id,
                after={**recipient_facts(recipient), "invitedBy": invite.created_by},
            )
        return recipient


def recipient_facts(recipient: Recipient) -> dict[str, Any]:
    """As the audit log shows it."""
    return {
        "channel": recipient.channel,
        "address": recipient.address,
        "name": recipient.name,
        "role": recipient.role,
        "owner": recipient.owner.name if recipient.owner else None,
    }
