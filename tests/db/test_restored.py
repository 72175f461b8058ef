"""Another database in the place of the one that a server was connected to, as after a restore."""

import itertools

import asyncpg

from server.settings import Settings
from tests.conftest import ADMIN, changed, named, served
from tests.support.client import Api
from tests.support.waiting import until

numbers = itertools.count()
LOOK = "{ devices { nodes { owner location { place } measurementType } } }"


async def test_names_are_those_of_the_database_that_is_there_now(
    settings: Settings, postgres: str, template: str
) -> None:
    """Ids of names are given anew in each database: the same id is another name there."""
    assert settings.database_url
    here = await name_of(settings.database_url)
    other, aside = (f"{word}_{next(numbers)}_{here}" for word in ("other", "aside"))
    await execute(postgres, f"CREATE DATABASE {other} TEMPLATE {template}")
    async with served(changed(settings, database_url=named(postgres, other))) as api:
        await registered(api, "Globex", "Rome", "humidity")
    async with served(settings) as api:
        await registered(api, "Acme", "Paris", "temperature")
        assert await look(api) == ["Acme", "Paris", "temperature"]
        for name, to in ((here, aside), (other, here)):
            await execute(
                postgres,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                f"WHERE datname = '{name}' AND pid <> pg_backend_pid()",
                f"ALTER DATABASE {name} RENAME TO {to}",
            )
        await until(lambda: finds(api, ["Globex", "Rome", "humidity"]))
        await registered(api, "Acme", "Paris", "temperature", mac="24:6f:28:aa:bb:ee")
        nodes = (await api.ask(LOOK))["devices"]["nodes"]
        assert [[n["owner"], n["location"]["place"], n["measurementType"]] for n in nodes] == [
            ["Globex", "Rome", "humidity"],
            ["Acme", "Paris", "temperature"],
        ]
    await execute(postgres, f"DROP DATABASE {aside} WITH (FORCE)")


async def registered(api: Api, owner: str, place: str, kind: str, **more: str) -> None:
    location = {"place": place}
    answer = await api.register(ADMIN, owner=owner, location=location, measurementType=kind, **more)
    assert answer["errors"] == []


async def look(api: Api) -> list[str] | None:
    response = await api.post(LOOK, ADMIN)
    if response.status_code != 200:
        return None
    [node] = response.json()["data"]["devices"]["nodes"]
    return [node["owner"], node["location"]["place"], node["measurementType"]]


async def finds(api: Api, wanted: list[str]) -> bool:
    return await look(api) == wanted


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
