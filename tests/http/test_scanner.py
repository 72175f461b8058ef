"""The checks of graphql-cop, a scanner of GraphQL servers, against a server in production.

Each is one request, and a sign in the response by which the scanner reports a weakness.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, NamedTuple

import httpx
import pytest
import pytest_asyncio

from server.settings import Settings
from tests.conftest import changed
from tests.events.live.serving import Instance, instance

CIRCULAR = "query cop { ...a } fragment a on Query { ...b } fragment b on Query { ...a }"
NESTED = "fields { type { " * 5 + "name" + " } }" * 5


class Check(NamedTuple):
    """`sent`: what httpx sends. `reports`: whether the scanner finds the weakness."""

    sent: Mapping[str, Any]
    reports: Callable[[httpx.Response], bool]
    method: str = "POST"


def query(text: str) -> Mapping[str, Any]:
    return {"json": {"query": text}}


def answer(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return {}


def has_data(response: httpx.Response) -> bool:
    found = answer(response)
    return isinstance(found, list) or bool(found.get("data"))


def has_extension(name: str) -> Callable[[httpx.Response], bool]:
    def reports(response: httpx.Response) -> bool:
        found = answer(response)
        errors = found.get("errors", ())
        parts = [found.get("extensions", {}), *(each.get("extensions", {}) for each in errors)]
        return any(name in part for part in parts)

    return reports


CHECKS = {
    "introspection": Check(query("query cop { __schema { types { name } } }"), has_data),
    "introspection, circular": Check(
        query(f"query cop {{ __schema {{ types {{ {NESTED} }} }} }}"), has_data
    ),
    "field suggestions": Check(
        query("query cop { __schema { directive } }"), lambda found: "Did you mean" in found.text
    ),
    "field suggestions, device": Check(
        query("query cop { devicess { id } }"), lambda found: "Did you mean" in found.text
    ),
    "alias overloading": Check(
        query(f"query cop {{ {' '.join(f'alias{n}: __typename' for n in range(101))} }}"), has_data
    ),
    # The scanner sends ten, which are within the limit.
    "directive overloading": Check(
        query(f"query cop {{ __typename {'@aa' * 60} }}"),
        lambda found: len(answer(found).get("errors", ())) >= 10,
    ),
    "directive overloading, known": Check(
        query(f"query cop {{ __typename {'@include(if: true) ' * 60} }}"), has_data
    ),
    "field duplication": Check(query(f"query cop {{ {'__typename ' * 1_001} }}"), has_data),
    "circular fragments": Check(query(CIRCULAR), has_data),
    "batch": Check({"json": [{"query": "query cop { __typename }"}] * 10}, has_data),
    "mutation by GET": Check({"params": {"query": "mutation cop { __typename }"}}, has_data, "GET"),
    "form": Check({"data": {"query": "query cop { __typename }"}}, has_data),
    "form, GET from another site": Check(
        {
            "params": {"query": "query cop { __typename }"},
            "headers": {"Origin": "https://example.com"},
        },
        has_data,
        "GET",
    ),
    "text from another site": Check(
        {
            "content": '{"query": "query cop { __typename }"}',
            "headers": {"Content-Type": "text/plain"},
        },
        has_data,
    ),
    "tracing": Check(query("query cop { __typename }"), has_extension("tracing")),
    "unhandled errors": Check(query("qwerty cop { abc }"), has_extension("exception")),
    "GraphiQL": Check(
        {"headers": {"Accept": "text/html"}},
        lambda found: "graphiql" in found.text.lower(),
        "GET",
    ),
}


@pytest_asyncio.fixture
async def one(settings: Settings) -> AsyncIterator[Instance]:
    async with instance(changed(settings, env="production")) as one:
        yield one


@pytest.mark.parametrize("who", ["anonymous", "enrolment key"])
@pytest.mark.parametrize("name", CHECKS)
async def test_scanner_finds_nothing(one: Instance, name: str, who: str) -> None:
    check = CHECKS[name]
    token = {} if who == "anonymous" else {"Authorization": f"Bearer {await one.api.key()}"}
    # A page of another site can't send the token.
    from_page = "site" in name or name == "form"
    headers = {**({} if from_page else token), **check.sent.get("headers", {})}
    async with httpx.AsyncClient() as client:
        found = await client.request(check.method, one.url, **{**check.sent, "headers": headers})
    assert not check.reports(found), found.text
