"""What a chat chooses to be told: kinds of events, and owners."""

from collections.abc import Collection, Iterable, Sequence
from typing import TypeVar

from domain.alerts.recipients import USUAL
from domain.events.kinds import EventKind
from notifier.channels.channel import Button, Buttons
from notifier.messages.buttons import pressed
from notifier.telegram.updates.chat import Talk
from resolvers.alerts import chats

KIND, KINDS, OWNERS, OWNER, ALERTS = "kind", "kinds", "owners", "owner", "alerts"
CHOICES = {"usual": USUAL, "every": frozenset(EventKind), "none": frozenset[EventKind]()}
A_PAGE = 10
ALL = "all"

Item = TypeVar("Item")


async def alerts(talk: Talk, _: str = "") -> None:
    await talk.show(talk.word("alerts"), await _kinds(talk))


async def toggle(talk: Talk, kind: str) -> None:
    def choose(present: Collection[EventKind] | None) -> Collection[EventKind]:
        return {EventKind(kind)} ^ {*(USUAL if present is None else present)}

    talk.recipient = await chats.choose_kinds(talk.desk, talk.address, choose)
    await alerts(talk)


async def choose(talk: Talk, which: str) -> None:
    """`usual`, `every` or `none`."""
    talk.recipient = await chats.choose_kinds(talk.desk, talk.address, lambda _: CHOICES[which])
    await alerts(talk)


async def owners(talk: Talk, page: str = "0") -> None:
    """Ten at a time. A chat that is for one owner has none to choose."""
    assert talk.recipient is not None  # noqa: S101
    if talk.recipient.owner_id is not None:
        await alerts(talk)
        return
    chosen = talk.recipient.owner_ids
    names = await chats.owners_to_choose(talk.desk)
    pages, number = _parted(names, A_PAGE), int(page)
    labels = talk.words["buttons"]
    rows = [[_tick(labels["every_owner"], chosen is None, pressed(OWNER, ALL, page))]]
    for id, name in pages[number] if number < len(pages) else ():
        rows.append([_tick(name, id in (chosen or ()), pressed(OWNER, id, page))])
    around = [("◀", number - 1), ("▶", number + 1)]
    leaves = [Button(n, pressed(OWNERS, to)) for n, to in around if 0 <= to < len(pages)]
    back = [Button(labels["back"], pressed(ALERTS))]
    await talk.show(talk.word("owners"), [*rows, *([leaves] if leaves else []), back])


async def toggle_owner(talk: Talk, id: str, page: str) -> None:
    owner_id = None if id == ALL else int(id)
    talk.recipient = await chats.choose_owner(talk.desk, talk.address, owner_id)
    await owners(talk, page)


async def _kinds(talk: Talk) -> Buttons:
    assert talk.recipient is not None  # noqa: S101
    told: Iterable[str] = USUAL if talk.recipient.kinds is None else talk.recipient.kinds
    names = talk.words["alerts"]
    ticks = [_tick(names[kind], kind in told, pressed(KIND, kind)) for kind in EventKind]
    labels = talk.words["buttons"]
    choices = [Button(labels[name], pressed(KINDS, name)) for name in CHOICES]
    rows = [*_parted(ticks, 2), choices]
    if talk.recipient.owner_id is None:
        rows.append([Button(labels["owners"], pressed(OWNERS, 0))])
    return rows


def _tick(name: str, chosen: bool, data: str) -> Button:
    return Button(f"{'✅' if chosen else '⬜'} {name}", data)


def _parted(items: Sequence[Item], length: int) -> list[Sequence[Item]]:
    return [items[start : start + length] for start in range(0, len(items), length)]
