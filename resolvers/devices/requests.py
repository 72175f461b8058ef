"""Requests for approval: listed for administrators, and chosen for a decision."""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from db.devices import requests
from db.devices.requests import OpenEnrolment
from db.paging import Slice, number_of
from db.tables.devices import DeviceRow
from db.tables.requests import EnrolmentRequestRow
from domain.access.caller import Caller
from domain.access.permissions import PERMISSIONS, Action
from domain.errors import ErrorCode, InputError
from domain.inputs import Page
from resolvers.services import Services


async def list_requests(services: Services, caller: Caller, page: Page) -> Slice[OpenEnrolment]:
    """Return the requests that the administrator can see, newest first."""
    caller.require(Action.CHANGE_DEVICE)
    async with services.database.transaction() as session:
        return await requests.page(session, caller.owner_id, page)


async def requests_for(
    services: Services, caller: Caller, ids: Collection[str]
) -> Mapping[str, Sequence[OpenEnrolment]]:
    """Return the requests for devices, oldest first. Empty for callers that are no administrators.

    An administrator who is limited to an owner sees no foreign requests.
    """
    if caller.kind is None or Action.CHANGE_DEVICE not in PERMISSIONS[caller.kind]:
        return {id: [] for id in ids}
    async with services.database.transaction() as session:
        return await requests.of_devices(session, caller.owner_id, ids)


async def visible_requests(
    session: AsyncSession, caller: Caller, device: DeviceRow
) -> list[EnrolmentRequestRow]:
    """Return the requests for a locked device that the administrator may decide on."""
    found = await requests.of_device(session, device)
    return [each for each in found if caller.owner_id is None or not each.foreign_owner]


def named_request(visible: Sequence[EnrolmentRequestRow], id: str) -> EnrolmentRequestRow:
    """Raises InputError if the request was decided on, or never existed."""
    number = number_of(id)
    for request in visible:
        if request.id == number:
            return request
    message = "This request is outdated: look at the device again."
    raise InputError.at("request", message, ErrorCode.CONFLICT)


def only_request(visible: Sequence[EnrolmentRequestRow]) -> EnrolmentRequestRow | None:
    """Return the only request, None if there is none. Raises InputError if there are several."""
    if len(visible) > 1:
        raise InputError.at(
            "request",
            f"{len(visible)} requests for this device are open: give the id of one as `request`. "
            "`device(id) { enrolmentRequests { id address } }` lists them.",
            ErrorCode.CONFLICT,
        )
    return visible[0] if visible else None
