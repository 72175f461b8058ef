"""Memory use of a long-running subscription."""

import gc
import json
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from domain.access.caller import system
from domain.devices.config import Config
from resolvers.feed.entries import ConfigChange
from schema import subscription
from schema.build import build_schema
from schema.context import Context
from schema.engine.execution import Engine
from schema.engine.limits import Limits
from schema.engine.operation import Request
from server.graphql.responses import encode_json, result_body
from tests.graphql.engines import prepare

CONFIG = Config(1, 60, 1, datetime.now(UTC), "test")
EVENTS = 1_000
QUERY = "subscription { configChanged { cursor config { version } previous { version } } }"


async def test_long_subscription_does_not_leak_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    async def changes(*_: Any) -> AsyncGenerator[ConfigChange]:
        for number in range(EVENTS):
            yield ConfigChange(str(number), None, CONFIG, CONFIG)

    monkeypatch.setattr(subscription, "subscribe_config_changes", changes)
    engine = Engine(build_schema(), Limits(), seconds=5)
    operation = await prepare(engine, Request(QUERY))
    context = Context(cast(Any, None), system("test"))
    objects = []
    async for result in engine.subscribe(operation, context):
        data = json.loads(encode_json(result_body(result, 1)))["data"]
        if int(data["configChanged"]["cursor"]) in (EVENTS // 2, EVENTS - 1):
            gc.collect()
            objects.append(len(gc.get_objects()))
    assert objects[1] - objects[0] < EVENTS // 4
