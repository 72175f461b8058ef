"""The database of a running server is replaced by another one, as after a restore."""

import itertools

import asyncpg

from server.settings import Settings
from tests.conftest import ADMIN, changed, named, served
from tests.support.client import Api
from tests.support.waiting import until

numbers = itertools.count()
DEVICES = "{ devices { nodes { owner location { place } measurementType } } }"


async def test_topic_levels_are_reloaded_after_database_is_replaced(
    settings: Settings, postgres: str, template: str
) -> None:
    """Ids are not the same in both databases: one id stands for different names."""
    assert settings.database_url
    current_name = await name_of(settings.database_url)
    other_name, old_name = (f"{word}_{next(numbers)}_{current_name}" for word in ("other", "aside"))
    await execute(postgres, f"CREATE DATABASE {other_name} TEMPLATE {template}")
    async with served(changed(settings, database_url=named(postgres, other_name))) as api:
        await registered(api, "Globex", "Rome", "humidity")
    async with served(settings) as api:
        await registered(api, "Acme", "Paris", "temperature")
        assert await first_device(api) == ["Acme", "Paris", "temperature"]
        for name, to in ((current_name, old_name), (other_name, current_name)):
            await execute(
                postgres,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                f"WHERE datname = '{name}' AND pid <> pg_backend_pid()",
                f"ALTER DATABASE {name} RENAME TO {to}",
            )
        await until(lambda: has_device(api, ["Globex", "Rome", "humidity"]))
        await registered(api, "Acme", "Paris", "temperature", mac="24:6f:28:aa:bb:ee")
        nodes = (await api.ask(DEVICES))["devices"]["nodes"]
        assert [[n["owner"], n["location"]["place"], n["measurementType"]] for n in nodes] == [
            ["Globex", "Rome", "humidity"],
            ["Acme", "Paris", "temperature"],
        ]
    await execute(postgres, f"DROP DATABASE {old_name} WITH (FORCE)")


async def registered(api: Api, owner: str, place: str, kind: str, **more: str) -> None:
    location = {"place": place}
    answer = await api.register(ADMIN, owner=owner, location=location, measurementType=kind, **more)
    assert answer["errors"] == []


async def first_device(api: Api) -> list[str] | None:
    response = await api.post(DEVICES, ADMIN)
    if response.status_code != 200:
        return None
    [node] = response.json()["data"]["devices"]["nodes"]
    return [node["owner"], node["location"]["place"], node["measurementType"]]


async def has_device(api: Api, expected: list[str]) -> bool:
    return await first_device(api) == expected


async def name_of(url: str) -> str:
    connection = await asyncpg.connect(url)
    try:
        return str(await connection.fetchval("SELECT current_database()"))
    finally:
        await connection.close()


async def execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()
