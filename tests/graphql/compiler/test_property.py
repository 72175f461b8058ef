"""Compiled operations and graphql-core give equal results, byte by byte."""

import asyncio
import secrets
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import hypothesis_graphql
import pytest
from graphql import (
    DefinitionNode,
    FieldNode,
    OperationDefinitionNode,
    OperationType,
    parse,
    print_ast,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.access.caller import system
from schema.build import Schema, build_schema, schema_text
from schema.context import Context
from schema.engine.execution import Engine
from schema.engine.limits import Limits
from schema.engine.operation import Operation, Request
from server.graphql.responses import encode_json, result_body
from tests.graphql.compiler.schema import Mutation, Query, Subscription, calls
from tests.graphql.engines import compiled, prepare, reference
from tests.support.client import Api

EXAMPLES = 200
SCHEMA = Schema(query=Query, mutation=Mutation, subscription=Subscription)
UNBOUND = Limits(
    cost=10**60, aliases=1_000, fields=10_000, tokens=20_000, root_fields=1_000, depth=60
)
QUIET = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.fixture(autouse=True)
def fixed_error_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "token_hex", lambda _: "same")


async def both(
    engines: tuple[Engine, Engine], request: Request, context: Any
) -> tuple[bytes, bytes, Operation]:
    """Execute with graphql-core and compiled. Return the results and the compiled operation."""
    answers = []
    for engine in engines:
        operation = await prepare(engine, request)
        result = await engine.run(operation, context)
        body = result_body(result, 1_000)
        # The order of errors of async fields is the order in which they complete.
        body.get("errors", []).sort(key=lambda error: [str(part) for part in error["path"]])
        answers.append(encode_json(body))
    return answers[0], answers[1], operation


def both_engines(schema: Schema) -> tuple[Engine, Engine]:
    return reference(schema, UNBOUND), Engine(schema, UNBOUND, seconds=60)


# graphql-core leaves coroutines unawaited if a sibling fails.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("kind", ["queries", "mutations"])
def test_generated_documents_give_equal_results(kind: str) -> None:
    engines = both_engines(SCHEMA)
    documents = getattr(hypothesis_graphql, kind)(SCHEMA.as_str())
    was_compiled = set[bool]()

    @QUIET
    @given(documents, st.integers(0, 10_000))
    def same(document: str, seed: int) -> None:
        one, other, operation = asyncio.run(both(engines, Request(document), seed))
        assert_same_result(one, other)
        was_compiled.add(compiled(operation) is not None)

    same()
    assert was_compiled == {True}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_generated_subscriptions_give_equal_results() -> None:
    engines = both_engines(SCHEMA)
    was_compiled = set[bool]()

    @QUIET
    @given(hypothesis_graphql.queries(SCHEMA.as_str(), fields=["garden"]), st.integers(0, 10_000))
    def same(document: str, seed: int) -> None:
        request = Request(subscribing(document))
        one, _ = asyncio.run(subscription_results(engines[0], request, seed))
        other, operation = asyncio.run(subscription_results(engines[1], request, seed))
        was_compiled.add(compiled(operation) is not None)
        assert len(one) == 4
        for first_result, second_result in zip(one, other, strict=True):
            assert_same_result(first_result, second_result)

    same()
    assert was_compiled == {True}


def subscribing(document: str) -> str:
    """Turn a query of a garden into a subscription."""
    ast = parse(document)

    def changed(node: DefinitionNode) -> DefinitionNode:
        if not isinstance(node, OperationDefinitionNode):
            return node
        root = node.selection_set.selections[0]
        assert isinstance(root, FieldNode)
        root = replace(root, name=replace(root.name, value="grown"), alias=None)
        selected = replace(node.selection_set, selections=(root,))
        return replace(node, operation=OperationType.SUBSCRIPTION, selection_set=selected)

    return print_ast(replace(ast, definitions=tuple(map(changed, ast.definitions))))


async def subscription_results(
    engine: Engine, request: Request, seed: Any
) -> tuple[list[bytes], Operation]:
    operation, answers = await prepare(engine, request), []
    async for result in engine.subscribe(operation, seed):
        body = result_body(result, 1_000)
        body.get("errors", []).sort(key=lambda error: [str(part) for part in error["path"]])
        answers.append(encode_json(body))
    return answers, operation


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_generated_queries_of_the_real_schema_give_equal_results(api: Api) -> None:
    for number in range(6):
        device = await api.register(
            await api.key(), mac=f"24:6f:28:00:70:0{number}", sensorModel=f"S{number}"
        )
        id = device["device"]["id"]
        if number % 2:
            await api.change("updateConfig", deviceId=id, intervalSeconds=number + 5)
        if number % 3:
            await api.change("acknowledgeConfig", device["token"], version=1)
        await api.change("linkDevice", listenerId=id, place="Paris")
    engines = both_engines(build_schema())
    services = api.app.state.database_supervisor.services
    loop = asyncio.get_running_loop()
    was_compiled = set[bool]()

    @settings(QUIET, max_examples=EXAMPLES // 4)
    @given(hypothesis_graphql.queries(schema_text()))
    def same(document: str) -> None:
        running = both(engines, Request(document), Context(services, system("test")))
        one, other, operation = asyncio.run_coroutine_threadsafe(running, loop).result(60)
        assert_same_result(one, other)
        was_compiled.add(compiled(operation) is not None)

    await asyncio.to_thread(same)
    assert True in was_compiled


def assert_same_result(one: bytes, other: bytes) -> None:
    """Compare byte by byte. With errors compare only data: which async field fails first varies."""
    if b'"errors"' in one and b'"errors"' in other:
        one, other = (answer.partition(b'"data":')[2] for answer in (one, other))
    assert one == other


CASES = [
    (
        "query ($n: Int = 4, $yes: Boolean!) { a: garden(number: $n) { id @include(if: $yes) } }",
        {"yes": True},
    ),
    (
        "query ($n: Int, $yes: Boolean!) { garden(number: $n) { id @skip(if: $yes) matrix } }",
        {"yes": True},
    ),
    (
        "query ($w: Wish!, $c: Color) { garden { wished(wish: $w, color: $c) } }",
        {"w": {"text": "x", "color": "GREEN", "deeper": {"text": "y", "numbers": [1]}}},
    ),
    (
        "query ($t: String!, $n: Int) { garden { wished(wish: {text: $t, number: $n}) } }",
        {"t": "é", "n": 5},
    ),
    (
        "query ($t: String!, $n: Int) { garden { wished(wish: {text: $t, number: $n}) } }",
        {"t": "é"},
    ),
    ("query ($n: Int!) { garden(number: $n) { id } }", {"n": "five"}),
    ("query ($n: Int!) { garden(number: $n) { id } }", {}),
    ("{ being { __typename ... on Named { name } ... on Animal { legs(times: 2) plain } } }", {}),
    (
        """{ garden { ...g next { ...g } } } fragment g on Garden { beings { ...b } }
        fragment b on Being { ... on Plant { leaves { slow label } } }""",
        {},
    ),
    ('mutation { a: count b: count plant(wish: {text: "x"}) { id next { id } } c: count }', {}),
]


@pytest.mark.parametrize(("document", "variables"), CASES)
def test_documents_with_variables_give_equal_results(
    document: str, variables: dict[str, Any]
) -> None:
    engines = both_engines(SCHEMA)

    async def all_seeds() -> None:
        for seed in range(150):
            try:
                one, other, operation = await both(engines, Request(document, variables), seed)
            except Exception as error:  # noqa: BLE001
                assert "Variable" in str(error)  # noqa: PT017
                continue
            assert one == other
            assert compiled(operation) is not None

    asyncio.run(all_seeds())


def test_root_fields_run_once_also_after_errors() -> None:
    engines = both_engines(SCHEMA)
    planted = 'plant(wish: {text: "x"}) { id beings { ... on Named { name } } }'
    document = f"mutation {{ a: count {planted} c: count }}"
    request = Request(document)

    async def all_seeds() -> Iterator[tuple[Counter_, Counter_]]:
        found = []
        for seed in range(300):
            counts = []
            for engine in engines:
                operation = await prepare(engine, request)
                calls.clear()
                await engine.run(operation, seed)  # type: ignore[arg-type]
                counts.append(dict(calls))
            found.append((counts[0], counts[1]))
        return iter(found)

    for one, other in asyncio.run(all_seeds()):
        assert one == other
        assert one["count"] <= 2


Counter_ = dict[str, int]


def test_introspection_is_not_compiled() -> None:
    engines = both_engines(SCHEMA)
    for document in (
        "{ __schema { queryType { name } } }",
        '{ __typename __type(name: "Leaf") { name } }',
    ):
        one, other, operation = asyncio.run(both(engines, Request(document), 1))
        assert one == other
        assert compiled(operation) is None
