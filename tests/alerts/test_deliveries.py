"""The `deliveries` query of administrators."""

from collections.abc import AsyncIterator

import pytest_asyncio

from server.settings import Settings
from tests.alerts.alert_server import CHAT, GROUP, alert_server, registered, until_rows
from tests.alerts.bot_api import BotApi
from tests.support.telegram import faults

QUERY = """query ($filter: DeliveryFilter, $after: String) {
  deliveries(first: 2, filter: $filter, after: $after) {
    nodes {
      state attempts nextAttemptAt lastError settledAt event { kind deviceId }
      recipient { id channel address role kinds mutedUntil quietHours offReason }
    }
    pageInfo { hasNextPage endCursor }
  }
}"""


@pytest_asyncio.fixture
async def telegram() -> AsyncIterator[BotApi]:
    async with BotApi() as api:
        api.knows(CHAT)
        api.knows(GROUP, "group")
        yield api


async def test_deliveries_show_state_and_error(settings: Settings, telegram: BotApi) -> None:
    telegram.misbehave(faults.BAD_REQUEST, chat_id=CHAT)
    telegram.misbehave(*[faults.too_many(600)] * 2, chat_id=GROUP)
    async with alert_server(settings, telegram, CHAT, GROUP) as api:
        id = await registered(api, 1)
        database = api.app.state.database_supervisor.services.database
        await until_rows(database, "SELECT 1 FROM deliveries WHERE last_error IS NOT NULL", 2)
        found = (await api.ask(QUERY))["deliveries"]
        assert not found["pageInfo"]["hasNextPage"]
        by_chat = {node["recipient"]["address"]: node for node in found["nodes"]}
        dead, waiting = by_chat[str(CHAT)], by_chat[str(GROUP)]
        assert (dead["state"], dead["attempts"], dead["nextAttemptAt"]) == ("DEAD", 1, None)
        assert "can't be sent" in dead["lastError"]
        assert (waiting["state"], waiting["settledAt"]) == ("WAITING", None)
        assert waiting["nextAttemptAt"] is not None
        assert waiting["lastError"] == "it asks to wait for 600 s"
        assert waiting["event"] == {"kind": "DEVICE_REGISTERED", "deviceId": id}
        assert (dead["recipient"]["role"], waiting["recipient"]["role"]) == ("ADMIN", "VIEWER")
        only = await api.ask(QUERY, filter={"state": "DEAD"})
        assert [n["state"] for n in only["deliveries"]["nodes"]] == ["DEAD"]
        one = await api.ask(QUERY, filter={"recipientId": waiting["recipient"]["id"]})
        assert [n["state"] for n in one["deliveries"]["nodes"]] == ["WAITING"]
        for recipient_id in ("99999999999999", "x", "0"):
            none = await api.ask(QUERY, filter={"recipientId": recipient_id})
            assert none["deliveries"]["nodes"] == []
        owner_token = await api.key(kind="ADMIN", owner="Acme")
        assert (await api.ask(QUERY, owner_token))["deliveries"]["nodes"] == []


async def test_deliveries_are_paged_newest_first(settings: Settings, telegram: BotApi) -> None:
    async with alert_server(settings, telegram) as api:
        ids = [await registered(api, number) for number in range(3)]
        await until_rows(
            api.app.state.database_supervisor.services.database,
            "SELECT 1 FROM deliveries WHERE state = 'sent'",
            3,
        )
        first = (await api.ask(QUERY))["deliveries"]
        after = first["pageInfo"]["endCursor"]
        second = (await api.ask(QUERY, after=after))["deliveries"]
        nodes = [*first["nodes"], *second["nodes"]]
        assert [node["event"]["deviceId"] for node in nodes] == ids[::-1]
        assert {node["state"] for node in nodes} == {"SENT"}


async def test_alert_follows_group_that_became_supergroup(
    settings: Settings, telegram: BotApi
) -> None:
    telegram.knows(-1009)
    telegram.misbehave(faults.migrated(-1009), chat_id=GROUP)
    async with alert_server(settings, telegram, GROUP) as api:
        await registered(api, 1)
        await telegram.until(lambda: len(telegram.messages(-1009)) == 1)
