"""The commands and buttons by which a chat chooses kinds of events and owners."""

from collections.abc import Collection, Iterable, Sequence
from typing import TypeVar

from domain.alerts.recipients import DEFAULT_KINDS
from domain.events.kinds import EventKind
from domain.events.visibility import kinds_for
from notifier.channels.channel import Button, Buttons
from notifier.messages.buttons import callback_data
from notifier.telegram.updates.chat import ChatContext
from resolvers.alerts import chats

KIND, KINDS, OWNERS, OWNER, ALERTS = "kind", "kinds", "owners", "owner", "alerts"
CHOICES = {"usual": DEFAULT_KINDS, "every": frozenset(EventKind), "none": frozenset[EventKind]()}
PAGE_SIZE = 10
ALL = "all"

Item = TypeVar("Item")


async def alerts(context: ChatContext, _: str = "") -> None:
    await context.edit_or_send(context.text("alerts"), await _kinds(context))


async def toggle(context: ChatContext, kind: str) -> None:
    def choose(present: Collection[EventKind] | None) -> Collection[EventKind]:
        return {EventKind(kind)} ^ {*(DEFAULT_KINDS if present is None else present)}

    context.recipient = await chats.choose_kinds(context.services, context.address, choose)
    await alerts(context)


async def choose(context: ChatContext, which: str) -> None:
    """`which`: `usual`, `every` or `none`."""
    context.recipient = await chats.choose_kinds(
        context.services, context.address, lambda _: CHOICES[which]
    )
    await alerts(context)


async def owners(context: ChatContext, page: str = "0") -> None:
    """Show a page of ten owners. A chat of one owner cannot choose."""
    assert context.recipient is not None  # noqa: S101
    if context.recipient.owner_id is not None:
        await alerts(context)
        return
    chosen = context.recipient.owner_ids
    names = await chats.owners_to_choose(context.services)
    pages, number = _split(names, PAGE_SIZE), int(page)
    labels = context.texts["buttons"]
    rows = [[_tick(labels["every_owner"], chosen is None, callback_data(OWNER, ALL, page))]]
    for id, name in pages[number] if number < len(pages) else ():
        rows.append([_tick(name, id in (chosen or ()), callback_data(OWNER, id, page))])
    neighbours = [("◀", number - 1), ("▶", number + 1)]
    paging = [Button(n, callback_data(OWNERS, to)) for n, to in neighbours if 0 <= to < len(pages)]
    back = [Button(labels["back"], callback_data(ALERTS))]
    await context.edit_or_send(context.text("owners"), [*rows, *([paging] if paging else []), back])


async def toggle_owner(context: ChatContext, id: str, page: str) -> None:
    owner_id = None if id == ALL else int(id)
    context.recipient = await chats.choose_owner(context.services, context.address, owner_id)
    await owners(context, page)


async def _kinds(context: ChatContext) -> Buttons:
    assert context.recipient is not None  # noqa: S101
    chosen: Iterable[str] = (
        DEFAULT_KINDS if context.recipient.kinds is None else context.recipient.kinds
    )
    names = context.texts["alerts"]
    offered = kinds_for(context.caller)
    ticks = [
        _tick(names[kind], kind in chosen, callback_data(KIND, kind))
        for kind in EventKind
        if kind in offered
    ]
    labels = context.texts["buttons"]
    choices = [Button(labels[name], callback_data(KINDS, name)) for name in CHOICES]
    rows = [*_split(ticks, 2), choices]
    if context.recipient.owner_id is None:
        rows.append([Button(labels["owners"], callback_data(OWNERS, 0))])
    return rows


def _tick(name: str, chosen: bool, data: str) -> Button:
    return Button(f"{'✅' if chosen else '⬜'} {name}", data)


def _split(items: Sequence[Item], length: int) -> list[Sequence[Item]]:
    return [items[start : start + length] for start in range(0, len(items), length)]
