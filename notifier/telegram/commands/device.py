"""The command that shows one device: state, config and place."""

from collections.abc import Iterator, Sequence

from db.devices.requests import OpenEnrolment
from db.tables.devices import AnyDevice
from domain.access.actors import shown_actor
from domain.devices.enrolment import DeviceState
from domain.devices.identity import device_id, is_device_id, parse_mac
from domain.devices.inputs import DeviceFilter
from domain.inputs import Page
from notifier.messages.buttons import approval_buttons
from notifier.messages.requests import conflict_lines, request_lines
from notifier.telegram.commands.devices import sign, status_key
from notifier.telegram.updates.chat import ChatContext
from resolvers.devices import queries as device_queries
from resolvers.devices.requests import requests_for


async def device(context: ChatContext, which: str = "") -> None:
    """`which`: an id, a MAC address, or words that only one device has."""
    if not which:
        await context.send(context.text("device_usage"))
    elif found := await look_up(context, which):
        requests = (await requests_for(context.services, context.caller, [found.id]))[found.id]
        text = "\n".join([card(context, found), *_request_lines(context, requests)])
        await context.send(text, approval_buttons(requests, context.texts))
        if found.latitude is not None and found.longitude is not None:
            await context.send_location(found.latitude, found.longitude)


async def look_up(context: ChatContext, which: str) -> AnyDevice | None:
    """Return None, after a message to the chat, if not exactly one device matches."""
    if id := _id(which):
        found = await device_queries.device(context.services, context.caller, id)
        candidates: list[AnyDevice] = [found] if found else []
    else:
        filter = DeviceFilter.check({"search": which})
        page = await device_queries.list_devices(
            context.services, context.caller, filter, Page(first=2)
        )
        candidates = [*page.rows]
    if len(candidates) == 1:
        return candidates[0]
    await context.send(context.text("several_devices" if candidates else "no_such_device"))
    return None


def title(device: AnyDevice) -> str:
    return f"{device.measurement_type.name}, {device.place.name}, {device.owner.name}"


def card(context: ChatContext, device: AnyDevice) -> str:
    return "\n".join([title(device), *_lines(context, device)])


def _lines(context: ChatContext, device: AnyDevice) -> Iterator[str]:
    yield f"{sign(device)} {context.text(status_key(device))}"
    if device.last_seen_at and not device.online:
        yield context.text("last_seen", at=context.format_time(device.last_seen_at))
    yield context.text(
        "config",
        interval=device.interval_seconds,
        qos=device.qos,
        version=device.config_version,
        by=shown_actor(device.config_updated_by, context.caller),
    )
    if device.state == DeviceState.ACTIVE and not device.in_sync:
        yield context.text("out_of_sync", version=device.applied_version or "-")
    if device.applied_error:
        yield device.applied_error
    hardware = [part for part in (device.sensor_model, device.firmware) if part]
    if hardware:
        yield context.text("hardware", hardware=", ".join(hardware))
    if device.latitude is not None:
        yield context.text("coordinates", at=f"{device.latitude}, {device.longitude}")
    yield context.text("topic", topic=device.topic)
    yield f"Id: {device.id}"


def _request_lines(context: ChatContext, requests: Sequence[OpenEnrolment]) -> Iterator[str]:
    for request in requests:
        at = context.format_time(request.row.last_asked_at)
        yield f"\n{context.text('request', number=request.row.id, at=at)}"
        yield from request_lines(request, context.texts)
    yield from conflict_lines(requests, context.texts)


def _id(which: str) -> str | None:
    if is_device_id(which.lower()):
        return which.lower()
    try:
        return device_id(parse_mac(which))
    except ValueError:
        return None
