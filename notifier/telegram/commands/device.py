"""One device: its state, its config, and where it is."""

from collections.abc import Iterator

from db.tables.devices import AnyDevice
from domain.devices.enrolment import DeviceState
from domain.devices.identity import device_id, is_device_id, parse_mac
from domain.devices.inputs import DeviceFilter
from domain.inputs import Page
from notifier.messages.buttons import decision
from notifier.telegram.commands.devices import sign, standing
from notifier.telegram.updates.chat import Talk
from resolvers.devices import queries as registry
from resolvers.devices.approval import request_of


async def device(talk: Talk, which: str = "") -> None:
    """By its id, its MAC address, or words that only it has."""
    if not which:
        await talk.say(talk.word("device_usage"))
    elif found := await look_up(talk, which):
        request = await request_of(talk.desk, found) if talk.decides else None
        await talk.say(card(talk, found), decision(found, request, talk.words))
        if found.latitude is not None and found.longitude is not None:
            await talk.pin(found.latitude, found.longitude)


async def look_up(talk: Talk, which: str) -> AnyDevice | None:
    """None, and the chat told why, where it is not exactly one."""
    if id := _id(which):
        found = await registry.device(talk.desk, talk.caller, id)
        candidates: list[AnyDevice] = [found] if found else []
    else:
        wanted = DeviceFilter.check({"search": which})
        page = await registry.list_devices(talk.desk, talk.caller, wanted, Page(first=2))
        candidates = [*page.rows]
    if len(candidates) == 1:
        return candidates[0]
    await talk.say(talk.word("several_devices" if candidates else "no_such_device"))
    return None


def title(device: AnyDevice) -> str:
    return f"{device.measurement_type.name}, {device.place.name}, {device.owner.name}"


def card(talk: Talk, device: AnyDevice) -> str:
    return "\n".join([title(device), *_lines(talk, device)])


def _lines(talk: Talk, device: AnyDevice) -> Iterator[str]:
    yield f"{sign(device)} {talk.word(standing(device))}"
    if device.last_seen_at and not device.online:
        yield talk.word("last_seen", at=talk.moment(device.last_seen_at))
    yield talk.word(
        "config",
        interval=device.interval_seconds,
        qos=device.qos,
        version=device.config_version,
        by=device.config_updated_by,
    )
    if device.state == DeviceState.ACTIVE and not device.in_sync:
        yield talk.word("out_of_sync", version=device.applied_version or "-")
    if device.applied_error:
        yield device.applied_error
    hardware = [part for part in (device.sensor_model, device.firmware) if part]
    if hardware:
        yield talk.word("hardware", hardware=", ".join(hardware))
    if device.latitude is not None:
        yield talk.word("coordinates", at=f"{device.latitude}, {device.longitude}")
    yield talk.word("topic", topic=device.topic)
    yield f"Id: {device.id}"


def _id(which: str) -> str | None:
    if is_device_id(which.lower()):
        return which.lower()
    try:
        return device_id(parse_mac(which))
    except ValueError:
        return None
