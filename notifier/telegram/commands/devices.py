"""A paged list of devices. Its buttons contain all of its state."""

from db.paging import cursor
from db.tables.devices import AnyDevice
from domain.devices.enrolment import DeviceState
from domain.devices.inputs import DeviceFilter
from domain.inputs import Page
from notifier.channels.channel import Button
from notifier.messages.buttons import DEVICE, callback_data
from notifier.telegram.updates.chat import ChatContext
from resolvers.devices.queries import count_devices, list_devices

LIST = "list"
PAGE_SIZE = 8
# Button data has at most 64 bytes: for the search words and the starts of the last pages.
SEARCH_BYTES, TRAIL_BYTES = 24, 26
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
SIGNS = {"waits": "⏳", "rejected": "⛔", "online": "🟢", "offline": "⚪"}
FILTERS = {
    "all": DeviceFilter(),
    "waiting": DeviceFilter(awaits_approval=True),
    "offline": DeviceFilter(online=False, state=DeviceState.ACTIVE),
}


async def devices(context: ChatContext, search: str) -> None:
    if len(search.encode()) > SEARCH_BYTES or ":" in search:
        await context.send(context.text("search_shorter"))
        return
    await _show(context, "all", [], search)


async def page(context: ChatContext, which: str = "all", trail: str = "", search: str = "") -> None:
    """`trail`: the device numbers after which the pages so far began."""
    starts = [int(start, 36) for start in trail.split(".") if start]
    await _show(context, which if which in FILTERS else "all", starts, search)


async def _show(context: ChatContext, which: str, starts: list[int], search: str) -> None:
    filter = FILTERS[which].model_copy(update={"search": search or None})
    request = Page(first=PAGE_SIZE, after=cursor("device", starts[-1]) if starts else None)
    found = await list_devices(context.services, context.caller, filter, request)
    total, exact = await count_devices(context.services, context.caller, filter)
    rows = [
        [Button(_line(context, device), callback_data(DEVICE, device.id))] for device in found.rows
    ]
    paging = []
    if starts:
        paging.append(Button("◀", _data(which, starts[:-1], search)))
    if found.has_next:
        paging.append(Button("▶", _data(which, [*starts, found.rows[-1].number], search)))
    names = context.texts["buttons"]
    filters = [
        Button(f"• {names[name]}" if name == which else names[name], _data(name, [], search))
        for name in FILTERS
    ]
    heading = context.text("devices" if exact else "devices_about", total=total)
    text = "\n".join([heading, *([f"🔎 {search}"] if search else [])])
    await context.edit_or_send(text, [*rows, *([paging] if paging else []), filters])


def _data(which: str, starts: list[int], search: str) -> str:
    trail = [_base36(start) for start in starts]
    while len(".".join(trail)) > TRAIL_BYTES:
        del trail[0]
    return callback_data(LIST, which, ".".join(trail), search)


def _base36(number: int) -> str:
    text = ""
    while number or not text:
        number, digit = divmod(number, 36)
        text = DIGITS[digit] + text
    return text


def _line(context: ChatContext, device: AnyDevice) -> str:
    assert context.recipient is not None  # noqa: S101
    owner = "" if context.recipient.owner_id else f" · {device.owner.name}"
    name = f"{device.measurement_type.name} · {device.place.name}{owner}"
    return f"{sign(device)} {name} · {device.id[:4]}"


def sign(device: AnyDevice) -> str:
    return SIGNS[status_key(device)]


def status_key(device: AnyDevice) -> str:
    """The name of the bot's text for the device's status."""
    if device.awaits_approval:
        return "waits"
    if device.state != DeviceState.ACTIVE:
        return "rejected"
    return "online" if device.online else "offline"
