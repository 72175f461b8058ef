"""The result of an operation does not depend on operations executed before."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schema.build import Schema
from schema.engine.documents import BadDocument
from schema.engine.execution import Engine
from schema.engine.limits import Limits
from schema.engine.operation import Request
from server.graphql.responses import encode_json, result_body
from tests.graphql.compiler.schema import Mutation, Query, Subscription
from tests.graphql.engines import prepare

SCHEMA = Schema(query=Query, mutation=Mutation, subscription=Subscription)
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


async def execute(engine: Engine, request: Request) -> bytes:
    try:
        operation = await prepare(engine, request)
        result = await engine.run(operation, SEED)  # type: ignore[arg-type]
    except BadDocument as bad:
        return "; ".join(error.message for error in bad.errors).encode()
    body = result_body(result, 1_000)
    for error in body.get("errors", ()):
        # Locations depend on the order in which fields complete.
        error.pop("locations", None)
    body.get("errors", []).sort(key=lambda error: [str(part) for part in error.get("path", ())])
    return encode_json(body)


def new_engine() -> Engine:
    return Engine(SCHEMA, Limits(), seconds=60)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_result_does_not_depend_on_earlier_requests() -> None:
    expected: dict[str, bytes] = {}

    async def compare(requests: list[Request]) -> None:
        engine = new_engine()
        for request in [*requests, *requests]:
            found, key = await execute(engine, request), str(request)
            if key not in expected:
                expected[key] = await execute(new_engine(), request)
            assert found == expected[key], request

    @settings(max_examples=60, deadline=None, derandomize=True, database=None)
    @given(st.lists(REQUESTS, min_size=2, max_size=10))
    def same(requests: list[Request]) -> None:
        asyncio.run(compare(requests))

    same()


@pytest.mark.parametrize("directive", ["include", "skip"])
def test_null_condition_is_rejected_each_time(directive: str) -> None:
    document = f"query ($x: Boolean = true) {{ garden {{ id @{directive}(if: $x) }} }}"
    request: dict[str, Any] = {"query": document, "variables": {"x": None}}

    async def results() -> list[bytes]:
        engine = new_engine()
        return [await execute(engine, Request(**request)) for _ in range(3)]

    found = asyncio.run(results())
    assert b"not to be None" in found[0]
    assert found[1:] == found[:1] * 2
