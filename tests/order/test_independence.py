"""The response of a server does not depend on earlier requests."""

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
from tests.order.cases import (
    CALLERS,
    FORMS,
    QUERY,
    RAW,
    SELECTIONS,
    Case,
    variants,
)
from tests.order.servers import Deployment, populate, share_schema_and_validation

EXAMPLES = 12
LONGEST = 6
CONDITIONS = (None, "null", "true", "false", "1")
VARIANTS = {field: [json.dumps(each) for each in variants(field)] for field in QUERY.fields}
# Devices have the most arguments, so they are half of the fields.
FIELDS = [*QUERY.fields, *["devices"] * len(QUERY.fields)]
# Cases per field except `devices`. Each case needs a new server.
CASES_PER_FIELD = 4
# Below the limit of concurrent operations per token.
CONCURRENCY = 60


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def deployment(postgres: str, template: str) -> AsyncIterator[Deployment]:
    name = "rollcall_any_order"
    connection = await asyncpg.connect(postgres)
    await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    url = postgres.replace("/postgres?", f"/{name}?")
    with pytest.MonkeyPatch.context() as monkeypatch:
        share_schema_and_validation(monkeypatch)
        options = Settings(database_url=url, admin_token=ADMIN, mqtt="off", env="production")
        deployment = Deployment(options, await populate(options))
        yield deployment
        await deployment.http.aclose()
    await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await connection.close()


def all_cases() -> list[Case]:
    """Return cases for each value of each argument and filter field, in random forms."""
    generator = random.Random(1)
    found = []
    for field, every in VARIANTS.items():
        some = (
            every
            if field == "devices"
            else generator.sample(every, k=min(CASES_PER_FIELD, len(every)))
        )
        found += [Case(field, each, form=generator.choice(FORMS)) for each in some]
    for raw in RAW:
        found += [Case(raw=raw, caller=caller) for caller in ("admin", "device", "anonymous")]
        found.append(Case(raw=raw, form="persisted"))
    for condition in CONDITIONS:
        case = Case("me", form="variables", selection="conditional", condition=condition)
        found += [case, case, replace(case, form="persisted"), replace(case, field="devices")]
    for caller in CALLERS:
        found += [Case(field, caller=caller) for field in ("devices", "me")]
    generator.shuffle(found)
    return found


async def test_cases_in_both_orders_on_one_server(deployment: Deployment) -> None:
    """In both orders, so that each case comes before each other one."""
    cases = all_cases()
    for order in (cases, cases[::-1]):
        await compare(deployment, order)


async def test_concurrent_cases_on_one_server(deployment: Deployment) -> None:
    cases = all_cases()
    async with deployment.server() as server:
        for start in range(0, len(cases), CONCURRENCY):
            some = cases[start : start + CONCURRENCY]
            found = await asyncio.gather(*map(server.send, some))
            for case, response in zip(some, found, strict=True):
                assert response == await deployment.fresh(case), case


async def compare(deployment: Deployment, cases: Sequence[Case]) -> None:
    async with deployment.server() as server:
        found = [await server.send(case) for case in cases]
    for number, (case, response) in enumerate(zip(cases, found, strict=True)):
        expected = await deployment.fresh(case)
        assert response == expected, f"{case}, after {cases[:number][-20:]}"


def combined(one: str, other: str) -> str:
    """Merge the arguments, and the fields of filters, of both."""
    values, more = json.loads(one), json.loads(other)
    for name, value in more.items():
        both = isinstance(value, dict) and isinstance(values.get(name), dict)
        values[name] = {**values[name], **value} if both else value
    return json.dumps(values)


@st.composite
def changed(draw: st.DrawFn, case: Case) -> Case:
    """Change one property of a case."""
    what = draw(st.sampled_from(["arguments", "arguments", "caller", "form", "selection"]))
    if what == "arguments":
        more = draw(st.sampled_from(VARIANTS[case.field]))
        return replace(case, arguments=combined(case.arguments, more))
    if what == "caller":
        return replace(case, caller=draw(st.sampled_from(CALLERS)))
    if what == "form":
        return replace(case, form=draw(st.sampled_from(FORMS)))
    condition = draw(st.sampled_from(CONDITIONS))
    return replace(case, selection=draw(st.sampled_from(SELECTIONS)), condition=condition)


@st.composite
def similar_cases(draw: st.DrawFn) -> list[Case]:
    """Generate similar cases."""
    field = draw(st.sampled_from(FIELDS))
    first, second = (draw(st.sampled_from(VARIANTS[field])) for _ in range(2))
    case = Case(field, combined(first, second), form=draw(st.sampled_from(FORMS)))
    cases = [case]
    for _ in range(draw(st.integers(1, LONGEST))):
        case = draw(changed(draw(st.sampled_from(cases))))
        cases.append(case)
    return cases


async def test_generated_similar_cases_on_one_server(deployment: Deployment) -> None:
    loop = asyncio.get_running_loop()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(similar_cases())
    def same(cases: list[Case]) -> None:
        comparison = compare(deployment, [*cases, *cases[::-1]])
        asyncio.run_coroutine_threadsafe(comparison, loop).result(60)

    await asyncio.to_thread(same)
