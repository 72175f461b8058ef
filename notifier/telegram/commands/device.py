"""The command that shows one device: state, config and place."""

from collections.abc import Iterator

from db.tables.devices import AnyDevice
from domain.access.actors import shown_actor
from domain.devices.enrolment import DeviceState
from domain.devices.identity import device_id, is_device_id, parse_mac
from domain.devices.inputs import DeviceFilter
from domain.inputs import Page
from notifier.messages.buttons import approval_buttons
from notifier.telegram.commands.devices import sign, status_key
from notifier.telegram.updates.chat import ChatContext
from resolvers.devices import queries as device_queries
from resolvers.devices.approval import request_of


async def device(context: ChatContext, which: str = "") -> None:
    """`which`: an id, a MAC address, or words that only one device has."""
    if not which:
        await context.send(context.text("device_usage"))
    elif found := await look_up(context, which):
        request = await request_of(context.services, found) if context.may_change else None
        await context.send(card(context, found), approval_buttons(found, request, context.texts))
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


def _id(which: str) -> str | None:
    if is_device_id(which.lower()):
        return which.lower()
    try:
        return device_id(parse_mac(which))
    except ValueError:
        return None
