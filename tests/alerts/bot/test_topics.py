"""Groups with topics, channels, and anonymous administrators of groups."""

import pytest

from server.settings import Settings, SettingsError, read_settings
from tests.alerts.alert_server import alert_server, registered, rows, until_rows
from tests.alerts.bot.chat import Phone
from tests.alerts.bot_api import BotApi
from tests.support.client import Api

FORUM, TOPIC, OTHER = -1001234, 57, 58


@pytest.fixture
def forum(telegram: BotApi) -> Phone:
    telegram.knows(FORUM, "supergroup")
    telegram.has_topics(FORUM, TOPIC, OTHER)
    return Phone(telegram, FORUM, kind="supergroup", user=77, topic=TOPIC)


def topics(phone: Phone) -> list[str | None]:
    return [sent.parameters.get("message_thread_id") for sent in phone.telegram.messages(FORUM)]


@pytest.mark.usefixtures("api")
async def test_reply_goes_to_topic_of_message(forum: Phone) -> None:
    assert await forum.says("/chatid") == f"The id of this chat is {FORUM}:{TOPIC}"
    forum.topic = None
    assert await forum.says("/chatid") == f"The id of this chat is {FORUM}"
    assert topics(forum) == [str(TOPIC), None]


async def test_topic_of_settings_gets_alerts_and_commands(
    settings: Settings, telegram: BotApi, forum: Phone
) -> None:
    telegram.closes(FORUM)
    chats = (f"{FORUM}:{TOPIC}",)
    async with alert_server(settings, telegram, *chats) as api:
        id = await registered(api, 1)
        await telegram.until(lambda: len(forum.alerts) == 1)
        assert (await forum.says(f"/device {id}", answers=2)) == ""
        assert (await forum.presses("Show the device")).startswith("temperature, Paris")
        assert set(topics(forum)) == {str(TOPIC)}
        assert (await forum.says("/mute 2h")).startswith("Muted until")
        [recipient] = (await api.ask("{ recipients { nodes { address role mutedUntil } } }"))[
            "recipients"
        ]["nodes"]
        assert (recipient["address"], recipient["role"]) == (f"{FORUM}:{TOPIC}", "VIEWER")
        assert recipient["mutedUntil"] is not None
        forum.topic = OTHER
        assert (await forum.says("/devices")).endswith(f"TELEGRAM_CHAT_ID: {FORUM}:{OTHER}")


async def test_topics_of_one_group_have_separate_preferences(
    settings: Settings, telegram: BotApi, forum: Phone
) -> None:
    async with alert_server(settings, telegram, f"{FORUM}:{TOPIC}", f"{FORUM}:{OTHER}") as api:
        await forum.says("/alerts")
        await forum.presses("None")
        await registered(api, 1)
        await telegram.until(lambda: len(forum.alerts) == 1)
    assert topics(forum)[-1] == str(OTHER)


async def test_group_gets_alerts_in_topic_of_its_invite(
    api: Api, telegram: BotApi, forum: Phone
) -> None:
    made = await api.change("createTelegramInvite", fields="code")
    await forum.says(f"/start@rollcall_test_bot {made['code']}")
    await registered(api, 1)
    await telegram.until(lambda: len(forum.alerts) == 1)
    forum.topic = OTHER
    assert await forum.says("/devices") == "Devices: 1"
    assert topics(forum) == [str(TOPIC), str(TOPIC), str(OTHER)]
    await forum.says("/start")
    await registered(api, 2)
    await telegram.until(lambda: len(forum.alerts) == 2)
    assert topics(forum)[-1] == str(OTHER)
    telegram.chats.topics[FORUM].discard(OTHER)
    await registered(api, 3)
    await telegram.until(lambda: len(forum.alerts) == 3)
    assert topics(forum)[-1] is None


async def test_closed_general_topic_is_replaced_by_topic_of_command(
    settings: Settings, telegram: BotApi, forum: Phone
) -> None:
    telegram.closes(FORUM)
    async with alert_server(settings, telegram, FORUM) as api:
        await registered(api, 1)
        closed = "SELECT 1 FROM recipients WHERE last_error LIKE '%TOPIC_CLOSED%'"
        await until_rows(api.app.state.database_supervisor.services.database, closed)
        await forum.says("/devices")
        await telegram.until(lambda: len(forum.alerts) == 1)
    assert set(topics(forum)) == {str(TOPIC)}


async def test_alert_is_sent_after_topic_is_reopened(
    settings: Settings, telegram: BotApi, forum: Phone
) -> None:
    telegram.closes(FORUM, TOPIC)
    async with alert_server(settings, telegram, f"{FORUM}:{TOPIC}") as api:
        await registered(api, 1)
        database = api.app.state.database_supervisor.services.database
        await until_rows(database, "SELECT 1 FROM recipients WHERE attempts > 0")
        telegram.reopens(FORUM, TOPIC)
        await telegram.until(lambda: len(forum.alerts) == 1)
        assert await rows(database, "SELECT 1 FROM deliveries WHERE state = 'dead'") == []


@pytest.mark.usefixtures("api")
@pytest.mark.parametrize(
    ("chat", "kind"), [(999, "private"), (-77, "group"), (-10077, "supergroup")]
)
async def test_chatid_command_in_every_kind_of_chat(telegram: BotApi, chat: int, kind: str) -> None:
    phone = Phone(telegram, chat, kind=kind, user=None if chat > 0 else 77)
    assert await phone.says("/chatid") == f"The id of this chat is {chat}"


async def test_channel_gets_replies_and_alerts(api: Api, telegram: BotApi) -> None:
    telegram.knows(-100500, "channel")
    channel = Phone(telegram, -100500, kind="channel")
    telegram.posts(-100500, "good morning")
    telegram.posts(-100500, "/chatid")
    await telegram.until(lambda: len(channel.replies) == 1)
    assert channel.replies[0].text == "The id of this chat is -100500"
    made = await api.change("createTelegramInvite", fields="code", role="ADMIN")
    telegram.posts(-100500, f"/start {made['code']}")
    await telegram.until(lambda: len(channel.replies) == 2)
    id = await registered(api, 1)
    await telegram.until(lambda: len(channel.alerts) == 1)
    telegram.posts(-100500, f"/config {id} qos=2")
    await telegram.until(lambda: len(channel.replies) == 3)
    assert "Change the config" in channel.replies[-1].text


async def test_anonymous_group_admin_is_recorded_as_group(api: Api, telegram: BotApi) -> None:
    made = await api.change("createTelegramInvite", fields="code", role="ADMIN")
    group = Phone(telegram, -100600, kind="supergroup")
    telegram.says(-100600, f"/start {made['code']}", chat_type="supergroup", anonymous=True)
    await telegram.until(lambda: len(group.replies) == 1)
    added = "{ events(filter: {kinds: [RECIPIENT_ADDED]}) { nodes { actor } } }"
    assert (await api.ask(added))["events"]["nodes"] == [{"actor": "telegram:-100600"}]


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("-1001234:57", ("-1001234:57",)),
        ("5, -1001234:57,@some_channel", ("5", "-1001234:57", "@some_channel")),
        ("-1001234:1", ("-1001234",)),
        ("-1001234:", None),
        ("-1001234:x", None),
    ],
)
def test_chat_id_setting_with_topic(
    monkeypatch: pytest.MonkeyPatch, given: str, read: tuple[str, ...] | None
) -> None:
    monkeypatch.setenv("TELEGRAM_CHAT_ID", given)
    if read is None:
        with pytest.raises(SettingsError, match=r"TELEGRAM_CHAT_ID.*-1001234:57"):
            read_settings()
    else:
        assert read_settings().telegram_chat_id == read
