"""Telegram invitations: codes of administrators that make a chat a recipient."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from db.access import tokens
from db.alerts import invites, recipients
from db.devices import topic_levels
from db.events.record import record_event
from db.paging import Slice, number_of
from db.tables.alerts import MAX_ID, InviteRow, RecipientRow
from db.tables.devices import OwnerRow
from domain.access.caller import Caller
from domain.access.permissions import Action
from domain.access.tokens import hash_token
from domain.alerts.inputs import NewInvite
from domain.alerts.recipients import TELEGRAM, Role, telegram_caller
from domain.errors import ErrorCode, InputError
from domain.events.kinds import EventKind
from domain.inputs import Page
from resolvers.devices.topic_levels import owner_for
from resolvers.services import Services

# Random bytes, base64url: deep links allow letters, digits, - and _ (Telegram bot features).
CODE_BYTES = 16
VALIDITY = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class NewCode:
    """`bot`: user name of the bot that accepts the code."""

    invite: InviteRow
    code: str
    bot: str


async def create_telegram_invite(services: Services, caller: Caller, wanted: NewInvite) -> NewCode:
    """Return a code, which is not stored and is valid for one chat."""
    caller.require(Action.MANAGE_RECIPIENTS)
    async with services.database.transaction() as session:
        bot = await invites.bot_name(session)
        if bot is None:
            raise InputError.at(
                None,
                "The server has never connected to a Telegram bot: start it with "
                "TELEGRAM_BOT_TOKEN, and check its log.",
                ErrorCode.CONFLICT,
            )
        owner = await _owner(session, caller, wanted.owner)
        code, now = secrets.token_urlsafe(CODE_BYTES), datetime.now(UTC)
        invite = InviteRow(
            hash=hash_token(code),
            role=wanted.role,
            owner=owner,
            note=wanted.note or None,
            created_at=now,
            created_by=caller.actor,
            token_id=caller.token_id,
            expires_at=wanted.expires_at or now + VALIDITY,
        )
        session.add(invite)
        await session.flush()
        facts = {"channel": TELEGRAM, "role": invite.role, "note": invite.note}
        record_event(
            session,
            EventKind.RECIPIENT_INVITED,
            caller,
            owner_id=invite.owner_id,
            after={**facts, "owner": owner.name if owner else None},
        )
        return NewCode(invite, code, bot)


async def revoke_telegram_invite(services: Services, caller: Caller, id: str) -> InviteRow:
    """Make an invitation invalid. A recipient that has used it stays."""
    caller.require(Action.MANAGE_RECIPIENTS)
    async with services.database.transaction() as session:
        invite = await invites.by_id(session, caller.owner_id, number_of(id, MAX_ID))
        if invite is None:
            raise InputError.at("id", "There is no such invitation.", ErrorCode.NOT_FOUND)
        if invite.used_by is None:
            invite.expires_at = min(invite.expires_at, datetime.now(UTC))
        return invite


async def list_telegram_invites(services: Services, caller: Caller, page: Page) -> Slice[InviteRow]:
    """Return the invitations, newest first."""
    caller.require(Action.MANAGE_RECIPIENTS)
    async with services.database.transaction() as session:
        return await invites.page(session, caller.owner_id, page)


async def _owner(session: AsyncSession, caller: Caller, name: str | None) -> OwnerRow | None:
    """Return an existing owner: a mistyped name must not create one."""
    if name is None and caller.owner_id is None:
        return None
    if caller.owner_id is not None:
        return await owner_for(session, caller, name)
    owner = await topic_levels.find_owner(session, name or "")
    if owner is None:
        raise InputError.at(
            "owner",
            f"There is no owner {name}: give the name of an existing one.",
            ErrorCode.NOT_FOUND,
        )
    return owner


async def accept_telegram_invite(
    services: Services, code: str, where: str, name: str | None, language: str
) -> RecipientRow | None:
    """Make a chat a recipient. Returns None if the code is not valid for it.

    A code is not valid if it is unknown, expired, used by another chat, or if its creator's token
    was revoked. A code that this chat has used changes nothing. `where`: the chat's id, optionally
    with a colon and a topic. The whole chat is authorized; its alerts go to this topic.
    """
    chat, _, topic = where.partition(":")
    async with services.database.transaction(background=True) as session:
        invite = await invites.by_hash(session, hash_token(code))
        recipient = await recipients.find(session, TELEGRAM, chat, change=True)
        if invite is None or invite.used_by is not None:
            used_here = invite is not None and invite.used_by == chat
            return recipient if used_here and recipients.is_authorized(recipient) else None
        if not await _valid(session, invite):
            return None
        if recipient is None:
            since = await recipients.last_event(session)
            recipient = RecipientRow(
                channel=TELEGRAM, address=chat, source=invite.created_by, since_event=since
            )
            session.add(recipient)
            other_owner = False
        elif not _may_change(invite, recipient):
            return None
        else:
            other_owner = recipient.owner_id != invite.owner_id
            await recipients.make_due(recipient)
        _authorize(recipient, invite)
        recipient.language, recipient.name, recipient.topic = (
            language,
            name,
            int(topic) if topic else None,
        )
        recipient.off_reason, recipient.away = None, False
        invite.used_at, invite.used_by = datetime.now(UTC), chat
        await session.flush()
        if other_owner and recipient.owner_id is not None:
            await recipients.delete_other_owners_alerts(session, recipient)
        caller = telegram_caller(Role(recipient.role), recipient.owner_id, chat, None)
        facts = {**recipient_facts(recipient), "invitedBy": invite.created_by}
        record_event(
            session,
            EventKind.RECIPIENT_ADDED,
            caller,
            owner_id=recipient.owner_id,
            after=facts,
        )
        return recipient


async def _valid(session: AsyncSession, invite: InviteRow) -> bool:
    if invite.expires_at <= datetime.now(UTC):
        return False
    return invite.token_id is None or bool(await tokens.valid_ids(session, [invite.token_id]))


def _may_change(invite: InviteRow, recipient: RecipientRow) -> bool:
    """Return False if the invitation would narrow the recipient to one owner, or change it."""
    if invite.owner_id is None or not recipients.is_authorized(recipient):
        return True
    return recipient.owner_id == invite.owner_id


def _authorize(recipient: RecipientRow, invite: InviteRow) -> None:
    if recipient.source != recipients.SETTINGS or not recipients.is_authorized(recipient):
        recipient.source, recipient.configured_as = invite.created_by, None
    if recipient.owner_id != invite.owner_id:
        recipient.owner_ids = None
    recipient.owner, recipient.role = invite.owner, invite.role


def recipient_facts(recipient: RecipientRow) -> dict[str, Any]:
    """Return a recipient in the form that the event log stores."""
    return {
        "channel": recipient.channel,
        "address": recipient.address,
        "name": recipient.name,
        "role": recipient.role,
        "owner": recipient.owner.name if recipient.owner else None,
    }
