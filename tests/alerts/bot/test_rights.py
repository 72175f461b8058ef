"""Every kind of chat has the rights of the matrix in `tests/access`, by commands and by buttons."""

from collections.abc import Mapping

import pytest

from tests.access.matrix import CALLERS, CELLS, DONE, NOTHING, REFUSED, column
from tests.access.requests import Target
from tests.alerts.alert_server import rows
from tests.alerts.bot.chat import Phone
from tests.alerts.bot.test_chats import invited
from tests.alerts.bot_api import BotApi
from tests.conftest import ADMIN
from tests.support.client import Api

CHAT = 31
INVITES: Mapping[str, Mapping[str, str] | None] = {
    "anonymous": None,
    "viewer of Acme": {"owner": "Acme"},
    "viewer": {},
    "admin of Acme": {"role": "ADMIN", "owner": "Acme"},
    "admin": {"role": "ADMIN"},
}
REFUSALS = ("This chat has no access", "This chat may not do that")
UNKNOWN = "Device not found"
WITH_LIST = ("command devices", "button list")
OWNERS = ("button owners", "button owner")
# Ends the rights of the chat.
LAST = "command stop"
DEVICES = {"Acme": ("Paris", "24:6f:28:00:00:01"), "Globex": ("Oslo", "24:6f:28:00:00:02")}


async def targets(api: Api) -> list[Target]:
    found = []
    for owner, (place, mac) in DEVICES.items():
        made = await api.register(ADMIN, mac=mac, owner=owner, location={"place": place})
        found.append(Target(made["device"]["id"], owner=owner, place=place, mac=mac))
    return found


def commands(target: Target) -> dict[str, str]:
    return {"device": target.device, "config": f"{target.device} qos=2", "mute": "1h"}


def presses(target: Target, owner_id: int) -> dict[str, str]:
    """Return the data of each button, as in the messages or forged."""
    return {
        "list": "list:all::",
        "device": f"device:{target.device}",
        "approve": f"approve:{target.device}:1",
        "reject": f"reject:{target.device}:1",
        "config": f"config:{target.device}:1:7:1",
        "cancel": "cancel",
        "mute": "mute:60",
        "alerts": "alerts",
        "kind": "kind:device_offline",
        "kinds": "kinds:usual",
        "owners": "owners:0",
        "owner": f"owner:{owner_id}:0",
    }


@pytest.mark.parametrize("caller", INVITES)
async def test_chat_has_the_rights_of_the_matrix(api: Api, telegram: BotApi, caller: str) -> None:
    both = await targets(api)
    invite = INVITES[caller]
    telegram.knows(CHAT)
    phone = (
        Phone(telegram, CHAT) if invite is None else await invited(api, telegram, CHAT, **invite)
    )
    expected = column(caller, "command", "button")
    found = {}
    for row in sorted(expected, key=lambda row: row == LAST):
        outcomes = (
            await attempt(api, phone, row, both[0]),
            await attempt(api, phone, row, both[1]),
        )
        found[row] = CELLS.get(outcomes, str(outcomes))
        if row == LAST and invite is not None:
            assert outcomes == (DONE, REFUSED)
            found[row] = "yes"
    wrong = {row: (found[row], expected[row]) for row in expected if found[row] != expected[row]}
    assert not wrong, f"(found, expected) of {caller}: {wrong}"


async def attempt(api: Api, phone: Phone, row: str, target: Target) -> str:
    """Return what the bot's answer shows."""
    kind, _, name = row.partition(" ")
    if kind == "command":
        text = await phone.says(f"/{name} {commands(target).get(name, '')}".strip())
    else:
        database = api.app.state.database_supervisor.services.database
        [owner] = await rows(database, f"SELECT id FROM owners WHERE name = '{target.owner}'")
        text = await phone.presses_data(presses(target, owner.id)[name])
    if text.startswith(REFUSALS):
        return REFUSED
    if row in WITH_LIST:
        return DONE if target.place in str(phone.labels) else NOTHING
    if row in OWNERS:
        return DONE if target.owner in str(phone.labels) else NOTHING
    return NOTHING if UNKNOWN in text else DONE


def test_every_chat_of_the_matrix_is_tried() -> None:
    assert {caller for caller in CALLERS if column(caller, "command", "button")} == INVITES.keys()
