"""Queries and changes of open requests for approval."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Row, Select, and_, delete, func, select, true, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased, joinedload

from db.paging import Slice, cursor, position
from db.tables.devices import DeviceRow
from db.tables.requests import EnrolmentRequestRow
from db.tables.tokens import TokenRow
from domain.devices.enrolment import DeviceState
from domain.inputs import Page

WITH_DEVICE = (
    joinedload(EnrolmentRequestRow.device, innerjoin=True).joinedload(DeviceRow.owner),
    joinedload(EnrolmentRequestRow.device, innerjoin=True).joinedload(DeviceRow.place),
    joinedload(EnrolmentRequestRow.device, innerjoin=True).joinedload(DeviceRow.measurement_type),
)


@dataclass(frozen=True, slots=True)
class OpenEnrolment:
    """A request with its device, as an administrator sees it.

    `key`: None if there is none, or the administrator can't see it. `conflict`: the administrator
    can see other open requests for this device.
    """

    row: EnrolmentRequestRow
    key: TokenRow | None
    conflict: bool

    @property
    def device(self) -> DeviceRow:
        return self.row.device


async def page(session: AsyncSession, owner_id: int | None, page: Page) -> Slice[OpenEnrolment]:
    """Return requests, newest first. `owner_id`: as for `of_devices`."""
    wanted = _visible(owner_id).order_by(EnrolmentRequestRow.id.desc())
    if page.after is not None:
        wanted = wanted.where(EnrolmentRequestRow.id < position("request", page.after))
    rows = (await session.execute(wanted.limit(page.first + 1))).all()
    return Slice.of([*map(_entry, rows)], page, lambda entry: cursor("request", entry.row.id))


async def of_devices(
    session: AsyncSession, owner_id: int | None, ids: Collection[str]
) -> dict[str, list[OpenEnrolment]]:
    """Return the requests for devices, oldest first.

    `owner_id`: the owner that the administrator is limited to; only this owner's devices, and no
    foreign requests. None: all.
    """
    wanted = _visible(owner_id).where(EnrolmentRequestRow.device_id.in_(ids))
    found: dict[str, list[OpenEnrolment]] = {id: [] for id in ids}
    for row in await session.execute(wanted.order_by(EnrolmentRequestRow.id)):
        entry = _entry(row)
        found[entry.row.device_id].append(entry)
    return found


async def of_device(session: AsyncSession, device: DeviceRow) -> Sequence[EnrolmentRequestRow]:
    """Return all requests for a device that the transaction has locked, oldest first."""
    found = select(EnrolmentRequestRow).where(EnrolmentRequestRow.device_id == device.id)
    return (await session.scalars(found.order_by(EnrolmentRequestRow.id))).all()


async def grant(session: AsyncSession, device: DeviceRow, request: EnrolmentRequestRow) -> None:
    """Make the pending token of a request valid, and delete the other requests."""
    token = update(TokenRow).where(TokenRow.id == request.token_id)
    await session.execute(token.values(waiting=False, approved=True))
    await session.execute(
        delete(EnrolmentRequestRow).where(EnrolmentRequestRow.id == request.id),
        execution_options={"synchronize_session": False},
    )
    pending = delete(TokenRow).where(TokenRow.device_id == device.id, TokenRow.waiting)
    await session.execute(pending, execution_options={"synchronize_session": False})


async def remove(session: AsyncSession, requests: Collection[EnrolmentRequestRow]) -> None:
    """Delete requests with their pending tokens."""
    ids = [request.token_id for request in requests]
    await session.execute(
        delete(TokenRow).where(TokenRow.id.in_(ids)),
        execution_options={"synchronize_session": False},
    )


async def remove_of_token(session: AsyncSession, device: DeviceRow, token_id: int) -> None:
    """Delete the request of a pending token that was revoked."""
    await session.execute(
        delete(EnrolmentRequestRow).where(EnrolmentRequestRow.token_id == token_id)
    )
    await _count_again(session, device)


async def owner_changed(session: AsyncSession, device: DeviceRow) -> None:
    """Find out again which requests for a device are foreign."""
    device.access_revision += 1
    await session.flush()
    foreign = (
        select(TokenRow.owner_id != device.owner_id)
        .where(TokenRow.id == EnrolmentRequestRow.key_id)
        .scalar_subquery()
    )
    await session.execute(
        update(EnrolmentRequestRow)
        .where(EnrolmentRequestRow.device_id == device.id)
        .values(foreign_owner=func.coalesce(foreign, False)),
        execution_options={"synchronize_session": False},
    )
    await _count_again(session, device)


async def _count_again(session: AsyncSession, device: DeviceRow) -> None:
    own = select(EnrolmentRequestRow.id).where(
        EnrolmentRequestRow.device_id == device.id, EnrolmentRequestRow.foreign_owner.is_(False)
    )
    left = bool((await session.execute(select(own.exists()))).scalar_one())
    device.awaits_approval = left or device.state == DeviceState.PENDING


def _visible(owner_id: int | None) -> Select[EnrolmentRequestRow, TokenRow | None, bool]:
    other = aliased(EnrolmentRequestRow)
    another = select(other.id).where(
        other.device_id == EnrolmentRequestRow.device_id, other.id != EnrolmentRequestRow.id
    )
    key: ColumnElement[bool] = true()
    if owner_id is not None:
        another = another.where(other.foreign_owner.is_(False))
        key = TokenRow.owner_id == owner_id
    found = (
        select(EnrolmentRequestRow, TokenRow, another.exists())
        .outerjoin(TokenRow, and_(TokenRow.id == EnrolmentRequestRow.key_id, key))
        .options(*WITH_DEVICE, joinedload(TokenRow.owner))
    )
    if owner_id is not None:
        devices = select(DeviceRow.id).where(DeviceRow.owner_id == owner_id)
        found = found.where(
            EnrolmentRequestRow.foreign_owner.is_(False), EnrolmentRequestRow.device_id.in_(devices)
        )
    return found


def _entry(row: Row[EnrolmentRequestRow, TokenRow | None, bool]) -> OpenEnrolment:
    request, key, conflict = row
    return OpenEnrolment(request, key, conflict)
