"""What an operation gives never depends on what was executed before."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schema.build import Schema
from schema.engine.documents import BadDocument
from schema.engine.execution import Engine, Request
from schema.engine.limits import Limits
from server.graphql.responses import encode_json, result_body
from tests.graphql.compiler.world import Mutation, Query, Subscription

WORLD = Schema(query=Query, mutation=Mutation, subscription=Subscription)
SEED = 31
DOCUMENTS = (
    """query ($yes: Boolean = true, $no: Boolean! = false, $n: Int! = 3, $t: String = "t",
        $c: Color, $w: Wish = {text: "d", numbers: [1]}) {
      garden(number: $n) {
        id @include(if: $yes)
        plain: wished(wish: {text: "l", color: $c, numbers: [$n, 2]}) @skip(if: $no)
        mixed: wished(wish: {text: $t, number: $n, deeper: {text: "x", color: $c}}, color: GREEN)
        ... on Garden @include(if: $no) { whole: wished(wish: $w) beings(first: $n) { ...b } }
      }
    } fragment b on Being { __typename ... on Plant { name @skip(if: $yes) color } }""",
    """query A($n: Int = 2, $yes: Boolean!) { garden(number: $n) { ...g } }
    query B($other: Boolean = false) { later { id @skip(if: $other) ...h } }
    fragment g on Garden { id anything @include(if: $yes) }
    fragment h on Garden { maybeNext { id @include(if: $other) } }""",
    "query ($n: Int! = 1) { garden(number: $n) { beings(first: $n) { __typename } } }",
)
VALUES = st.sampled_from([None, True, False, 0, 1, 1.0, 7, "7", "RED", "true", [], [1], {}])
WISHES = st.sampled_from(
    [None, {"text": "a"}, {"text": "a", "number": None}, {"text": None}, {"text": "a", "color": 2}]
)
VARIABLES = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("yes", "no", "other"), VALUES),
        **dict.fromkeys(("n", "t", "c"), VALUES),
        "w": WISHES,
    },
)
REQUESTS = st.builds(
    Request,
    query=st.sampled_from(DOCUMENTS),
    variables=VARIABLES,
    operation_name=st.sampled_from([None, "A", "B", "C"]),
)


async def answer(engine: Engine, request: Request) -> bytes:
    try:
        operation = engine.prepare(request, may_introspect=True)
        result = await engine.run(operation, SEED)  # type: ignore[arg-type]
    except BadDocument as bad:
        return "; ".join(error.message for error in bad.errors).encode()
    body = result_body(result, 1_000)
    for error in body.get("errors", ()):
        # In the order in which fields are done.
        error.pop("locations", None)
    body.get("errors", []).sort(key=lambda error: [str(part) for part in error.get("path", ())])
    return encode_json(body)


def fresh() -> Engine:
    return Engine(WORLD, Limits(), seconds=60)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_whatever_was_executed_before() -> None:
    alone: dict[str, bytes] = {}

    async def compare(requests: list[Request]) -> None:
        engine = fresh()
        for request in [*requests, *requests]:
            found, key = await answer(engine, request), str(request)
            if key not in alone:
                alone[key] = await answer(fresh(), request)
            assert found == alone[key], request

    @settings(max_examples=60, deadline=None, derandomize=True, database=None)
    @given(st.lists(REQUESTS, min_size=2, max_size=10))
    def same(requests: list[Request]) -> None:
        asyncio.run(compare(requests))

    same()


@pytest.mark.parametrize("directive", ["include", "skip"])
def test_a_condition_that_is_null_is_refused_again_and_again(directive: str) -> None:
    document = f"query ($x: Boolean = true) {{ garden {{ id @{directive}(if: $x) }} }}"
    request: dict[str, Any] = {"query": document, "variables": {"x": None}}

    async def told() -> list[bytes]:
        engine = fresh()
        return [await answer(engine, Request(**request)) for _ in range(3)]

    found = asyncio.run(told())
    assert b"not to be None" in found[0]
    assert found[1:] == found[:1] * 2
