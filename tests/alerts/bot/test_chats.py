"""Authorization of chats by settings and invitations, from the update to the reply."""

import pytest

from server.settings import Settings
from tests.alerts.alert_server import CHAT, alert_server, execute, registered, rows, until_rows
from tests.alerts.bot.chat import Phone
from tests.alerts.bot_api import BotApi
from tests.conftest import served
from tests.support.client import Api

AUTHORIZED_ONLY = [
    "/devices",
    "/device x",
    "/config x qos=1",
    "/mute 1h",
    "/quiet",
    "/alerts",
    "/stop",
]


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
async def test_unknown_chat_gets_instructions(unknown_chat: Phone) -> None:
    greeting = await unknown_chat.says("/start")
    assert greeting.startswith("Rollcall\nThis bot reports")
    assert greeting.endswith("TELEGRAM_CHAT_ID: 999")
    assert await unknown_chat.says("/chatid") == "The id of this chat is 999"
    help = await unknown_chat.says("/help")
    assert "/chatid" in help
    assert "/devices" not in help
    assert "/help" in await unknown_chat.says("hello")


@pytest.mark.parametrize("text", AUTHORIZED_ONLY)
async def test_commands_of_unknown_chat_are_refused(
    api: Api, unknown_chat: Phone, text: str
) -> None:
    id = await registered(api, 1)
    assert (await unknown_chat.says(text.replace(" x", f" {id}"))).startswith("This chat has no")
    assert id not in str(unknown_chat.replies)


@pytest.mark.parametrize(
    "data", ["list:all::", "device:{id}", "approve:{id}", "config:{id}:1:5:1", "mute:60", "alerts"]
)
async def test_forged_button_of_unknown_chat_is_refused(
    api: Api, unknown_chat: Phone, data: str
) -> None:
    id = await registered(api, 1)
    unknown_chat.telegram.knows(unknown_chat.chat)
    reply = await unknown_chat.presses_data(data.format(id=id))
    assert reply.startswith("This chat has no access")
    config = await api.ask(f'{{ config(deviceId: "{id}") {{ version }} }}')
    assert config["config"]["version"] == 1


@pytest.mark.usefixtures("api")
async def test_chat_of_settings_has_admin_commands(admin_chat: Phone) -> None:
    assert "view and change" in await admin_chat.says("/start")
    help = await admin_chat.says("/help")
    for command in ("devices", "device", "config", "mute", "quiet", "alerts", "stop", "chatid"):
        assert f"/{command}" in help


async def test_invite_adds_chat_as_recipient(api: Api, telegram: BotApi) -> None:
    await registered(api, 9)
    viewer = await invited(api, telegram, 31, owner="Acme", note="Ann")
    assert "the devices of Acme, and gets alerts" in viewer.replies[-1].text
    code = await api.ask("{ recipients { nodes { address role owner name source } } }")
    added_recipient = [n for n in code["recipients"]["nodes"] if n["address"] == "31"]
    assert added_recipient == [
        {"address": "31", "role": "VIEWER", "owner": "Acme", "name": "User 31", "source": "admin:1"}
    ]
    await registered(api, 1)
    await registered(api, 2, owner="Globex")
    await registered(api, 3)
    await telegram.until(lambda: len(new_device_alerts(viewer)) == 2)
    assert all("Acme" in text for text in new_device_alerts(viewer))
    which = "filter: {kinds: [RECIPIENT_INVITED, RECIPIENT_ADDED]}"
    found = await api.ask(f"{{ events({which}) {{ nodes {{ actor after }} }} }}")
    added, made = found["events"]["nodes"]
    assert added["actor"] == "telegram:31"
    assert added["after"]["invitedBy"] == made["actor"] == "admin:1"


def new_device_alerts(phone: Phone) -> list[str]:
    return [sent.text for sent in phone.alerts if sent.text.startswith("New device")]


async def test_invite_code_is_valid_for_one_chat_until_it_expires(
    api: Api, telegram: BotApi, unknown_chat: Phone
) -> None:
    made = await api.change("createTelegramInvite", fields="code", role="ADMIN")
    invited_chat = Phone(telegram, 32)
    assert "view and change" in await invited_chat.says(f"/start {made['code']}")
    assert "view and change" in await invited_chat.says(f"/start {made['code']}")
    assert "not valid" in await unknown_chat.says(f"/start {made['code']}")
    late = await api.change("createTelegramInvite", fields="code")
    database = api.app.state.database_supervisor.services.database
    await execute(database, "UPDATE invites SET expires_at = now() WHERE used_at IS NULL")
    assert "not valid" in await unknown_chat.says(f"/start {late['code']}")
    assert "not valid" in await unknown_chat.says("/start nonsense")


async def test_owner_admin_creates_invites_only_for_its_owner(api: Api, telegram: BotApi) -> None:
    owner_token = await api.key(kind="ADMIN", owner="Acme")
    refused = await api.change("createTelegramInvite", owner_token, owner="Globex")
    assert [error["code"] for error in refused["errors"]] == ["NOT_ALLOWED"]
    made = await api.change("createTelegramInvite", owner_token, fields="code")
    phone = Phone(telegram, 33)
    assert "devices of Acme" in await phone.says(f"/start {made['code']}")
    seen = await api.ask("{ recipients { nodes { address } } }", owner_token)
    assert seen["recipients"]["nodes"] == [{"address": "33"}]


async def test_removed_recipient_has_no_rights(api: Api, telegram: BotApi) -> None:
    invited_chat = await invited(api, telegram, 34, role="ADMIN")
    [id] = [
        node["id"]
        for node in (await api.ask("{ recipients { nodes { id address } } }"))["recipients"][
            "nodes"
        ]
        if node["address"] == "34"
    ]
    removed = await api.change("removeRecipient", fields="recipient { address }", id=id)
    assert removed["recipient"] == {"address": "34"}
    assert (await invited_chat.says("/devices")).startswith("This chat has no access")
    again = await api.change("removeRecipient", id=id)
    assert again["errors"][0]["code"] == "NOT_FOUND"


async def test_chat_of_settings_can_not_be_removed(api: Api, admin_chat: Phone) -> None:
    assert "settings name this chat" in await admin_chat.says("/stop")
    [node] = (await api.ask("{ recipients { nodes { id address } } }"))["recipients"]["nodes"]
    refused = await api.change("removeRecipient", id=node["id"])
    assert refused["errors"][0]["code"] == "CONFLICT"
    await registered(api, 1)
    await admin_chat.telegram.until(lambda: len(new_device_alerts(admin_chat)) == 1)


async def test_stop_command_removes_recipient(api: Api, telegram: BotApi) -> None:
    invited_chat = await invited(api, telegram, 35)
    assert "Alerts are off" in await invited_chat.says("/stop")
    await registered(api, 1)
    await telegram.until(lambda: len(telegram.messages(CHAT)) > 0)
    assert new_device_alerts(invited_chat) == []
    assert (await invited_chat.says("/devices")).startswith("This chat has no access")


async def test_alerts_resume_after_user_unblocks_bot(api: Api, telegram: BotApi) -> None:
    invited_chat = await invited(api, telegram, 36)
    telegram.blocks(36)
    await registered(api, 1)
    database = api.app.state.database_supervisor.services.database
    await until_rows(database, "SELECT 1 FROM recipients WHERE off_reason LIKE '%blocked%'")
    await invited_chat.says("/start")
    await registered(api, 2)
    await telegram.until(lambda: len(new_device_alerts(invited_chat)) == 1)


async def test_used_invite_code_does_not_restore_removed_recipient(
    api: Api, telegram: BotApi
) -> None:
    made = await api.change("createTelegramInvite", fields="code", role="ADMIN")
    invited_chat = Phone(telegram, 38)
    await invited_chat.says(f"/start {made['code']}")
    found = (await api.ask("{ recipients { nodes { id address } } }"))["recipients"]["nodes"]
    [id] = [node["id"] for node in found if node["address"] == "38"]
    await api.change("removeRecipient", id=id)
    assert "not valid" in await invited_chat.says(f"/start {made['code']}")


async def test_used_invite_code_does_not_restore_former_role(api: Api, telegram: BotApi) -> None:
    codes = [
        (await api.change("createTelegramInvite", fields="code", role=role))["code"]
        for role in ("ADMIN", "VIEWER")
    ]
    invited_chat = Phone(telegram, 39)
    assert "view and change" in await invited_chat.says(f"/start {codes[0]}")
    assert "view and change" not in await invited_chat.says(f"/start {codes[1]}")
    assert "view and change" not in await invited_chat.says(f"/start {codes[0]}")


async def test_owner_invite_does_not_change_chat_of_settings(api: Api, admin_chat: Phone) -> None:
    owner_token = await api.key(kind="ADMIN", owner="Acme")
    made = await api.change("createTelegramInvite", owner_token, fields="code")
    assert "not valid" in await admin_chat.says(f"/start {made['code']}")
    assert "change the devices of all owners" in await admin_chat.says("/start")
    assert (await api.ask("{ recipients { nodes { id } } }", owner_token))["recipients"][
        "nodes"
    ] == []


async def test_revoked_invite_is_not_valid(api: Api, unknown_chat: Phone) -> None:
    made = await api.change("createTelegramInvite", fields="code invite { id }", note="Ann")
    listed = (await api.ask("{ telegramInvites { nodes { id note usedBy } } }"))["telegramInvites"]
    assert listed["nodes"] == [{"id": made["invite"]["id"], "note": "Ann", "usedBy": None}]
    revoked = await api.change("revokeTelegramInvite", id=made["invite"]["id"])
    assert revoked["errors"] == []
    assert "not valid" in await unknown_chat.says(f"/start {made['code']}")


async def test_invite_is_not_valid_after_its_creators_token_is_revoked(
    api: Api, unknown_chat: Phone
) -> None:
    payload = await api.change("createToken", fields="secret token { id }", kind="ADMIN")
    made = await api.change("createTelegramInvite", payload["secret"], fields="code")
    await api.change("revokeToken", id=payload["token"]["id"])
    assert "not valid" in await unknown_chat.says(f"/start {made['code']}")


async def test_create_invite_for_unknown_owner_is_not_found(api: Api) -> None:
    refused = await api.change("createTelegramInvite", owner="Acne")
    assert [(e["code"], e["field"]) for e in refused["errors"]] == [("NOT_FOUND", "owner")]


async def test_migrated_group_of_settings_gets_alerts_after_restart(
    settings: Settings, telegram: BotApi
) -> None:
    group = Phone(telegram, -700, kind="group", user=77)
    telegram.knows(-700, "group")
    telegram.knows(-1700, "supergroup")
    async with alert_server(settings, telegram, -700) as api:
        telegram.moves(-700, -1700)
        moved = "SELECT 1 FROM recipients WHERE address = '-1700'"
        await until_rows(api.app.state.database_supervisor.services.database, moved)
    async with alert_server(settings, telegram, -700) as api:
        await registered(api, 1)
        await telegram.until(lambda: len(telegram.messages(-1700)) == 1)
    assert group.alerts == []


async def test_invited_group_records_user_as_actor(api: Api, telegram: BotApi) -> None:
    made = await api.change("createTelegramInvite", fields="code", role="ADMIN")
    group = Phone(telegram, -100500, kind="supergroup", user=77)
    assert "view and change" in await group.says(f"/start@rollcall_test_bot {made['code']}")
    id = await registered(api, 1)
    await group.says(f"/config {id} qos=2")
    await group.presses("✅ Change")
    found = await api.ask("{ events(filter: {kinds: [CONFIG_CHANGED]}) { nodes { actor } } }")
    assert found["events"]["nodes"] == [{"actor": "telegram:-100500/77"}]


@pytest.mark.usefixtures("api")
async def test_group_messages_for_others_are_ignored(telegram: BotApi) -> None:
    group = Phone(telegram, -100501, kind="group", user=77)
    telegram.says(group.chat, "good morning", chat_type="group", user_id=77)
    telegram.says(group.chat, "/start@another_bot", chat_type="group", user_id=77)
    telegram.says(group.chat, "/unheard", chat_type="group", user_id=77)
    assert await group.says("/chatid") == "The id of this chat is -100501"
    assert len(group.replies) == 1


@pytest.mark.usefixtures("api")
async def test_replies_are_in_language_of_user(telegram: BotApi) -> None:
    user = Phone(telegram, 37, language="ru")
    assert "Этот бот сообщает" in await user.says("/start")
    assert telegram.commands[""][0]["description"] == "What this bot does"
    assert telegram.commands["ru"][0]["description"] == "Что умеет этот бот"
    user.language = "pt-br"
    assert "This bot reports" in await user.says("/start")


@pytest.mark.usefixtures("api")
async def test_replies_to_one_chat_are_rate_limited(unknown_chat: Phone) -> None:
    for _ in range(70):
        unknown_chat.telegram.says(unknown_chat.chat, "/chatid")
    await unknown_chat.telegram.until(lambda: not unknown_chat.telegram.updates.pending, 30)
    assert 10 <= len(unknown_chat.replies) <= 65


async def test_create_invite_without_bot_is_refused(settings: Settings) -> None:
    async with served(settings) as api:
        refused = await api.change("createTelegramInvite")
        assert "TELEGRAM_BOT_TOKEN" in refused["errors"][0]["message"]
        assert (
            await rows(api.app.state.database_supervisor.services.database, "SELECT 1 FROM invites")
            == []
        )
