"""Adds an event to the transaction of the change. Batched writes insert their events in SQL."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from db.postgres.database import RECORDED
from db.tables.devices import DeviceRow
from db.tables.events import EventRow
from db.tables.links import LinkRow
from db.tables.requests import EnrolmentRequestRow
from db.tables.tokens import TokenRow
from domain.access.caller import Caller
from domain.devices.facts import device_facts
from domain.events.kinds import EventKind


def record_event(
    session: AsyncSession,
    kind: EventKind,
    caller: Caller,
    *,
    device: DeviceRow | None = None,
    owner_id: int | None = None,
    foreign: bool = False,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Add an event. It becomes visible with the change, or not at all.

    `foreign`: it is about a foreign request, so people who are limited to the device's owner must
    not see it.
    """
    if device:
        owner_id = None if foreign else device.owner_id
    session.info[RECORDED] = True
    session.add(
        EventRow(
            kind=kind,
            actor=caller.actor,
            device_id=device.id if device else None,
            owner_id=owner_id,
            before=before,
            after=after,
        )
    )


def record_departure(session: AsyncSession, caller: Caller, device: DeviceRow) -> None:
    """Add the event by which an owner learns that its device gets another one, before it does.

    The other events of the move are of the new owner.
    """
    facts = device_facts(device)
    before = {name: facts[name] for name in ("owner", "place", "measurementType", "topic")}
    record_event(session, EventKind.DEVICE_LEFT, caller, device=device, before=before)


def link_facts(link: LinkRow) -> dict[str, Any]:
    """The link as event data. Its owner, place, measurement type and source must be loaded."""
    return {
        "id": link.id,
        "owner": link.owner.name,
        "place": link.place.name if link.place else None,
        "measurementType": link.measurement_type.name if link.measurement_type else None,
        "deviceId": link.source_id,
        "filter": link.filter,
    }


def request_facts(request: EnrolmentRequestRow) -> dict[str, Any]:
    """The request as event data. `db/writes/request_approval.py` has the same in SQL."""
    return {
        "requestId": str(request.id),
        "address": request.address,
        "keyId": None if request.key_id is None else str(request.key_id),
        "sensorModel": request.sensor_model,
        "firmware": request.firmware,
    }


def token_facts(token: TokenRow) -> dict[str, Any]:
    """The token as event data, without the secret and its hash."""
    return {
        "id": token.id,
        "kind": str(token.kind),
        "owner": token.owner.name if token.owner else None,
        "note": token.note,
        "expiresAt": token.expires_at.isoformat() if token.expires_at else None,
        "maxUses": token.max_uses,
    }
