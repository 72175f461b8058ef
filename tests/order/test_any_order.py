"""What a server answers never depends on what it was asked before."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import asyncpg
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.settings import Settings
from tests.conftest import ADMIN
from tests.order.questions import (
    CALLERS,
    QUERY,
    RAW,
    SELECTIONS,
    WAYS,
    Question,
    neighbours,
)
from tests.order.servers import World, populate, share_what_never_changes

EXAMPLES = 12
LONGEST = 6
CONDITIONS = (None, "null", "true", "false", "1")
NEIGHBOURS = {field: [json.dumps(each) for each in neighbours(field)] for field in QUERY.fields}
# Most of what can be asked is about them.
FIELDS = [*QUERY.fields, *["devices"] * len(QUERY.fields)]
# Of every other field, so many: each is asked of a server that has to be made for it.
SOME = 4
# Below what one token may run at a time.
AT_ONCE = 60


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(postgres: str, template: str) -> AsyncIterator[World]:
    name = "rollcall_any_order"
    connection = await asyncpg.connect(postgres)
    await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    url = postgres.replace("/postgres?", f"/{name}?")
    with pytest.MonkeyPatch.context() as monkeypatch:
        share_what_never_changes(monkeypatch)
        options = Settings(database_url=url, admin_token=ADMIN, mqtt="off", env="production")
        world = World(options, await populate(options))
        yield world
        await world.http.aclose()
    await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await connection.close()


def sweep() -> list[Question]:
    """Each value of each argument and of each field of a filter, each in one of the ways."""
    dice = random.Random(1)
    found = []
    for field, every in NEIGHBOURS.items():
        some = every if field == "devices" else dice.sample(every, k=min(SOME, len(every)))
        found += [Question(field, each, way=dice.choice(WAYS)) for each in some]
    for raw in RAW:
        found += [Question(raw=raw, caller=caller) for caller in ("admin", "device", "nobody")]
        found.append(Question(raw=raw, way="persisted"))
    for condition in CONDITIONS:
        asked = Question("me", way="variables", selection="conditional", condition=condition)
        found += [asked, asked, replace(asked, way="persisted"), replace(asked, field="devices")]
    for caller in CALLERS:
        found += [Question(field, caller=caller) for field in ("devices", "me")]
    dice.shuffle(found)
    return found


async def test_neighbours_in_one_server(world: World) -> None:
    """Forwards and backwards, so that each comes before each."""
    questions = sweep()
    for order in (questions, questions[::-1]):
        await compare(world, order)


async def test_neighbours_at_the_same_time(world: World) -> None:
    questions = sweep()
    async with world.server() as server:
        for start in range(0, len(questions), AT_ONCE):
            some = questions[start : start + AT_ONCE]
            found = await asyncio.gather(*map(server.ask, some))
            for question, answer in zip(some, found, strict=True):
                assert answer == await world.fresh(question), question


async def compare(world: World, questions: Sequence[Question]) -> None:
    async with world.server() as server:
        found = [await server.ask(question) for question in questions]
    for number, (question, answer) in enumerate(zip(questions, found, strict=True)):
        expected = await world.fresh(question)
        assert answer == expected, f"{question}, after {questions[:number][-20:]}"


def combined(one: str, other: str) -> str:
    """Arguments with those of both, and with the fields of both filters."""
    values, more = json.loads(one), json.loads(other)
    for name, value in more.items():
        both = isinstance(value, dict) and isinstance(values.get(name), dict)
        values[name] = {**values[name], **value} if both else value
    return json.dumps(values)


@st.composite
def changed(draw: st.DrawFn, question: Question) -> Question:
    """Another one in one respect."""
    what = draw(st.sampled_from(["arguments", "arguments", "caller", "way", "selection"]))
    if what == "arguments":
        more = draw(st.sampled_from(NEIGHBOURS[question.field]))
        return replace(question, arguments=combined(question.arguments, more))
    if what == "caller":
        return replace(question, caller=draw(st.sampled_from(CALLERS)))
    if what == "way":
        return replace(question, way=draw(st.sampled_from(WAYS)))
    condition = draw(st.sampled_from(CONDITIONS))
    return replace(question, selection=draw(st.sampled_from(SELECTIONS)), condition=condition)


@st.composite
def conversations(draw: st.DrawFn) -> list[Question]:
    """Some that are much like one."""
    field = draw(st.sampled_from(FIELDS))
    first, second = (draw(st.sampled_from(NEIGHBOURS[field])) for _ in range(2))
    question = Question(field, combined(first, second), way=draw(st.sampled_from(WAYS)))
    said = [question]
    for _ in range(draw(st.integers(1, LONGEST))):
        question = draw(changed(draw(st.sampled_from(said))))
        said.append(question)
    return said


async def test_whatever_was_asked_before(world: World) -> None:
    loop = asyncio.get_running_loop()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(conversations())
    def same(said: list[Question]) -> None:
        asked = compare(world, [*said, *said[::-1]])
        asyncio.run_coroutine_threadsafe(asked, loop).result(60)

    await asyncio.to_thread(same)
