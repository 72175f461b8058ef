"""Limits of the time, the rate and the number of operations."""

import asyncio
from typing import Any

import httpx
import pytest

from resolvers.devices import queries as device_queries
from server.settings import Settings
from tests.conftest import changed, served
from tests.support.client import BENCH, REGISTER, Api


async def test_operation_over_time_limit_is_cancelled(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = asyncio.Event()

    async def hang(*_: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    monkeypatch.setattr(device_queries, "me", hang)
    async with served(changed(settings, max_operation_seconds=0.2)) as api:
        response = await api.post("{ me { id } }", api.admin)
    assert response.status_code == 503
    assert response.json()["errors"][0]["extensions"]["code"] == "TIMED_OUT"
    assert stopped.is_set()


async def test_registration_rate_limits_per_address_and_per_key(settings: Settings) -> None:
    async def register(api: Api, token: str, number: int) -> httpx.Response:
        values = {**BENCH, "mac": f"24:6f:28:00:01:{number:02x}"}
        return await api.post(REGISTER, token, input=values)

    by_address = changed(settings, max_registrations_per_address=3)
    async with served(by_address) as api:
        key = await api.key()
        answers = [await register(api, key, number) for number in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert int(answers[3].headers["retry-after"]) in range(1, 21)
        assert answers[3].json()["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
        # A device that registers again with its token is exempt.
        device_token = answers[0].json()["data"]["registerDevice"]["token"]
        assert (await register(api, device_token, 0)).status_code == 200
    async with served(changed(settings, max_registrations_per_key=2)) as api:
        key, other = await api.key(), await api.key()
        answers = [await register(api, key, number) for number in range(10, 13)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert (await register(api, other, 13)).status_code == 200
    async with served(changed(by_address, rate_limits="off")) as api:
        key = await api.key()
        answers = [await register(api, key, number) for number in range(20, 30)]
        assert {answer.status_code for answer in answers} == {200}


async def test_concurrent_operations_per_token_are_limited(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Enrolment keys are exempt, because the devices of a booting fleet share one."""
    original, started, resume = device_queries.device, asyncio.Semaphore(0), asyncio.Event()

    async def blocked(*args: Any) -> Any:
        started.release()
        await resume.wait()
        return await original(*args)

    monkeypatch.setattr(device_queries, "device", blocked)
    query = '{ device(id: "x") { id } }'
    async with served(changed(settings, max_operations_per_token=2)) as api:
        running = [asyncio.ensure_future(api.post(query, api.admin)) for _ in range(2)]
        for _ in running:
            await started.acquire()
        refused = await api.post(query, api.admin)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        resume.set()
        assert {answer.status_code for answer in await asyncio.gather(*running)} == {200}
        assert (await api.post(query, api.admin)).status_code == 200
        key = await api.key()
        keys = [api.register(key, mac=f"24:6f:28:00:02:{n:02x}") for n in range(5)]
        assert {found["outcome"] for found in await asyncio.gather(*keys)} == {"CREATED"}
