"""Who may talk to the bot, from the update that comes in to the answer that goes out."""

import pytest

from server.settings import Settings
from tests.alerts.alerted import CHAT, alerted, registered, rows, rows_changed, until_rows
from tests.alerts.bot.chat import Phone
from tests.alerts.bot_api import BotApi
from tests.conftest import served
from tests.support.client import Api

KNOWN_ONLY = ["/devices", "/device x", "/config x qos=1", "/mute 1h", "/quiet", "/alerts", "/stop"]


async def invited(api: Api, telegram: BotApi, chat: int, **values: object) -> Phone:
    made = await api.change(
        "createTelegramInvite", fields="code link groupLink invite { id role }", **values
    )
    assert made["errors"] == []
    assert made["link"] == f"https://t.me/rollcall_test_bot?start={made['code']}"
    assert made["groupLink"] == f"https://t.me/rollcall_test_bot?startgroup={made['code']}"
    phone = Phone(telegram, chat)
    assert "Rollcall" in await phone.says(f"/start {made['code']}")
    return phone


@pytest.mark.usefixtures("api")
async def test_a_stranger_learns_how_to_come_in(stranger: Phone) -> None:
    greeting = await stranger.says("/start")
    assert greeting.startswith("Rollcall\nI am the registration desk")
    assert greeting.endswith("TELEGRAM_CHAT_ID: 999")
    assert await stranger.says("/chatid") == "The id of this chat is 999"
    help = await stranger.says("/help")
    assert "/chatid" in help
    assert "/devices" not in help
    assert "/help" in await stranger.says("hello")


@pytest.mark.parametrize("text", KNOWN_ONLY)
async def test_a_stranger_gets_nothing_of_the_fleet(api: Api, stranger: Phone, text: str) -> None:
    id = await registered(api, 1)
    assert (await stranger.says(text.replace(" x", f" {id}"))).startswith("Nobody has let")
    assert id not in str(stranger.heard)


@pytest.mark.parametrize(
    "data", ["list:all::", "device:{id}", "approve:{id}", "config:{id}:1:5:1", "mute:60", "alerts"]
)
async def test_a_forged_button_brings_a_stranger_nothing(
    api: Api, stranger: Phone, data: str
) -> None:
    id = await registered(api, 1)
    stranger.telegram.knows(stranger.chat)
    told = await stranger.presses_data(data.format(id=id))
    assert told.startswith("Nobody has let this chat in")
    config = await api.ask(f'{{ config(deviceId: "{id}") {{ version }} }}')
    assert config["config"]["version"] == 1


@pytest.mark.usefixtures("api")
async def test_the_chat_of_the_settings_may_change_things(boss: Phone) -> None:
    assert "change them" in await boss.says("/start")
    help = await boss.says("/help")
    for command in ("devices", "device", "config", "mute", "quiet", "alerts", "stop", "chatid"):
        assert f"/{command}" in help


async def test_an_invitation_lets_one_chat_in(api: Api, telegram: BotApi) -> None:
    await registered(api, 9)
    viewer = await invited(api, telegram, 31, owner="Acme", note="Ann")
    assert "devices of Acme, and you are told" in viewer.heard[-1].text
    code = await api.ask("{ recipients { nodes { address role owner name source } } }")
    mine = [n for n in code["recipients"]["nodes"] if n["address"] == "31"]
    assert mine == [
        {"address": "31", "role": "VIEWER", "owner": "Acme", "name": "User 31", "source": "admin:1"}
    ]
    await registered(api, 1)
    await registered(api, 2, owner="Globex")
    await registered(api, 3)
    await telegram.until(lambda: len(told_of(viewer)) == 2)
    assert all("Acme" in told for told in told_of(viewer))
    which = "filter: {kinds: [RECIPIENT_INVITED, RECIPIENT_ADDED]}"
    found = await api.ask(f"{{ events({which}) {{ nodes {{ actor after }} }} }}")
    added, made = found["events"]["nodes"]
    assert added["actor"] == "telegram:31"
    assert added["after"]["invitedBy"] == made["actor"] == "admin:1"


def told_of(phone: Phone) -> list[str]:
    return [sent.text for sent in phone.told if sent.text.startswith("New device")]


async def test_a_code_is_good_for_one_chat_and_for_a_while(
    api: Api, telegram: BotApi, stranger: Phone
) -> None:
    made = await api.change("createTelegramInvite", fields="code", role="ADMIN")
    friend = Phone(telegram, 32)
    assert "change them" in await friend.says(f"/start {made['code']}")
    assert "change them" in await friend.says(f"/start {made['code']}")
    assert "not valid" in await stranger.says(f"/start {made['code']}")
    late = await api.change("createTelegramInvite", fields="code")
    database = api.app.state.database_supervisor.services.database
    await rows_changed(database, "UPDATE invites SET expires_at = now() WHERE used_at IS NULL")
    assert "not valid" in await stranger.says(f"/start {late['code']}")
    assert "not valid" in await stranger.says("/start nonsense")


async def test_an_owners_administrator_invites_for_that_owner_only(
    api: Api, telegram: BotApi
) -> None:
    mine = await api.key(kind="ADMIN", owner="Acme")
    refused = await api.change("createTelegramInvite", mine, owner="Globex")
    assert [error["code"] for error in refused["errors"]] == ["NOT_ALLOWED"]
    made = await api.change("createTelegramInvite", mine, fields="code")
    phone = Phone(telegram, 33)
    assert "devices of Acme" in await phone.says(f"/start {made['code']}")
    seen = await api.ask("{ recipients { nodes { address } } }", mine)
    assert seen["recipients"]["nodes"] == [{"address": "33"}]


async def test_who_was_removed_may_do_nothing_any_more(api: Api, telegram: BotApi) -> None:
    friend = await invited(api, telegram, 34, role="ADMIN")
    [id] = [
        node["id"]
        for node in (await api.ask("{ recipients { nodes { id address } } }"))["recipients"][
            "nodes"
        ]
        if node["address"] == "34"
    ]
    removed = await api.change("removeRecipient", fields="recipient { address }", id=id)
    assert removed["recipient"] == {"address": "34"}
    assert (await friend.says("/devices")).startswith("Nobody has let this chat in")
    again = await api.change("removeRecipient", id=id)
    assert again["errors"][0]["code"] == "NOT_FOUND"


async def test_the_chats_of_the_settings_stay(api: Api, boss: Phone) -> None:
    assert "settings name this chat" in await boss.says("/stop")
    [node] = (await api.ask("{ recipients { nodes { id address } } }"))["recipients"]["nodes"]
    refused = await api.change("removeRecipient", id=node["id"])
    assert refused["errors"][0]["code"] == "CONFLICT"
    await registered(api, 1)
    await boss.telegram.until(lambda: len(told_of(boss)) == 1)


async def test_stop_ends_it(api: Api, telegram: BotApi) -> None:
    friend = await invited(api, telegram, 35)
    assert "told nothing any more" in await friend.says("/stop")
    await registered(api, 1)
    await telegram.until(lambda: len(telegram.messages(CHAT)) > 0)
    assert told_of(friend) == []
    assert (await friend.says("/devices")).startswith("Nobody has let this chat in")


async def test_who_unblocks_the_bot_is_told_again(api: Api, telegram: BotApi) -> None:
    friend = await invited(api, telegram, 36)
    telegram.blocks(36)
    await registered(api, 1)
    database = api.app.state.database_supervisor.services.database
    await until_rows(database, "SELECT 1 FROM recipients WHERE off_reason LIKE '%blocked%'")
    await friend.says("/start")
    await registered(api, 2)
    await telegram.until(lambda: len(told_of(friend)) == 1)


async def test_a_used_code_brings_nobody_back(api: Api, telegram: BotApi) -> None:
    made = await api.change("createTelegramInvite", fields="code", role="ADMIN")
    friend = Phone(telegram, 38)
    await friend.says(f"/start {made['code']}")
    found = (await api.ask("{ recipients { nodes { id address } } }"))["recipients"]["nodes"]
    [id] = [node["id"] for node in found if node["address"] == "38"]
    await api.change("removeRecipient", id=id)
    assert "not valid" in await friend.says(f"/start {made['code']}")


async def test_an_older_code_gives_no_role_back(api: Api, telegram: BotApi) -> None:
    codes = [
        (await api.change("createTelegramInvite", fields="code", role=role))["code"]
        for role in ("ADMIN", "VIEWER")
    ]
    friend = Phone(telegram, 39)
    assert "change them" in await friend.says(f"/start {codes[0]}")
    assert "change them" not in await friend.says(f"/start {codes[1]}")
    assert "change them" not in await friend.says(f"/start {codes[0]}")


async def test_an_invitation_for_one_owner_takes_no_chat_away(api: Api, boss: Phone) -> None:
    mine = await api.key(kind="ADMIN", owner="Acme")
    made = await api.change("createTelegramInvite", mine, fields="code")
    assert "not valid" in await boss.says(f"/start {made['code']}")
    assert "devices of all owners and change" in await boss.says("/start")
    assert (await api.ask("{ recipients { nodes { id } } }", mine))["recipients"]["nodes"] == []


async def test_an_invitation_can_be_taken_back(api: Api, stranger: Phone) -> None:
    made = await api.change("createTelegramInvite", fields="code invite { id }", note="Ann")
    listed = (await api.ask("{ telegramInvites { nodes { id note usedBy } } }"))["telegramInvites"]
    assert listed["nodes"] == [{"id": made["invite"]["id"], "note": "Ann", "usedBy": None}]
    gone = await api.change("revokeTelegramInvite", id=made["invite"]["id"])
    assert gone["errors"] == []
    assert "not valid" in await stranger.says(f"/start {made['code']}")


async def test_an_invitation_ends_with_its_makers_token(api: Api, stranger: Phone) -> None:
    payload = await api.change("createToken", fields="secret token { id }", kind="ADMIN")
    made = await api.change("createTelegramInvite", payload["secret"], fields="code")
    await api.change("revokeToken", id=payload["token"]["id"])
    assert "not valid" in await stranger.says(f"/start {made['code']}")


async def test_an_owner_that_is_not_there(api: Api) -> None:
    refused = await api.change("createTelegramInvite", owner="Acne")
    assert [(e["code"], e["field"]) for e in refused["errors"]] == [("NOT_FOUND", "owner")]


async def test_a_group_of_the_settings_that_moved_is_told_after_a_restart(
    settings: Settings, telegram: BotApi
) -> None:
    group = Phone(telegram, -700, kind="group", user=77)
    telegram.knows(-700, "group")
    telegram.knows(-1700, "supergroup")
    async with alerted(settings, telegram, -700) as api:
        telegram.moves(-700, -1700)
        moved = "SELECT 1 FROM recipients WHERE address = '-1700'"
        await until_rows(api.app.state.database_supervisor.services.database, moved)
    async with alerted(settings, telegram, -700) as api:
        await registered(api, 1)
        await telegram.until(lambda: len(telegram.messages(-1700)) == 1)
    assert group.told == []


async def test_a_group_is_let_in_and_says_who_did_what(api: Api, telegram: BotApi) -> None:
    made = await api.change("createTelegramInvite", fields="code", role="ADMIN")
    group = Phone(telegram, -100500, kind="supergroup", user=77)
    assert "change them" in await group.says(f"/start@rollcall_test_bot {made['code']}")
    id = await registered(api, 1)
    await group.says(f"/config {id} qos=2")
    await group.presses("Change it")
    found = await api.ask("{ events(filter: {kinds: [CONFIG_CHANGED]}) { nodes { actor } } }")
    assert found["events"]["nodes"] == [{"actor": "telegram:-100500/77"}]


@pytest.mark.usefixtures("api")
async def test_what_is_meant_for_others_in_a_group_is_not_answered(telegram: BotApi) -> None:
    group = Phone(telegram, -100501, kind="group", user=77)
    telegram.says(group.chat, "good morning", chat_type="group", user_id=77)
    telegram.says(group.chat, "/start@another_bot", chat_type="group", user_id=77)
    telegram.says(group.chat, "/unheard", chat_type="group", user_id=77)
    assert await group.says("/chatid") == "The id of this chat is -100501"
    assert len(group.heard) == 1


@pytest.mark.usefixtures("api")
async def test_texts_are_in_the_users_language(telegram: BotApi) -> None:
    user = Phone(telegram, 37, language="ru")
    assert "стойка регистрации" in await user.says("/start")
    assert telegram.commands[""][0]["description"] == "What this bot does"
    assert telegram.commands["ru"][0]["description"] == "Что умеет этот бот"
    user.language = "pt-br"
    assert "registration desk" in await user.says("/start")


@pytest.mark.usefixtures("api")
async def test_who_talks_without_end_is_not_answered_without_end(stranger: Phone) -> None:
    for _ in range(70):
        stranger.telegram.says(stranger.chat, "/chatid")
    await stranger.telegram.until(lambda: not stranger.telegram.updates.pending, 30)
    assert 10 <= len(stranger.heard) <= 65


async def test_without_a_bot_there_are_no_invitations(settings: Settings) -> None:
    async with served(settings) as api:
        refused = await api.change("createTelegramInvite")
        assert "TELEGRAM_BOT_TOKEN" in refused["errors"][0]["message"]
        assert (
            await rows(api.app.state.database_supervisor.services.database, "SELECT 1 FROM invites")
            == []
        )
