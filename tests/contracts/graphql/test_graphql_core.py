"""Undocumented behaviour of graphql-core that `schema/` relies on."""

import asyncio
from typing import Any

import pytest
from graphql import (
    ExecutionResult,
    Executor,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLObjectType,
    Undefined,
    VariableValues,
    build_schema,
    execute,
    execute_root_selection_set,
    execute_subscription_event,
    get_argument_values,
    get_variable_values,
    parse,
    validate,
)
from graphql.execution.collect_fields import FragmentDetails, collect_fields, collect_subfields
from graphql.utilities.coerce_input_value import coerce_default_value
from graphql.validation.rules import overlapping_fields_can_be_merged as overlapping

from schema.engine.graphql_core import (
    OperationExecutor,
    execute_event,
    is_over_limit,
    limit_comparisons,
    source_of,
)

SCHEMA = build_schema("""
    enum Color { RED GREEN }
    input Wish { text: String! = "none", number: Int }
    type Leaf { label: String, color: Color }
    type Query { leaf(number: Int = 3, other: Int, wish: Wish): Leaf, leaves: [Leaf!] }
    type Subscription { grown: Leaf }
""")
EVENT = {"grown": {"label": "a"}}
SUBSCRIPTION = "subscription { grown { label } }"


def executor(text: str, type: Any = Executor, **options: Any) -> Any:
    return type.build(SCHEMA, parse(text), **options)


def test_per_event_executors_share_a_cache() -> None:
    """The reason why `OperationExecutor` gives each event its own cache."""
    whole = executor(SUBSCRIPTION)
    for number in range(1, 4):
        each = whole.build_per_event_executor(EVENT)
        assert each._relevant_sub_fields is whole._relevant_sub_fields
        assert execute_subscription_event(each).data == EVENT
        assert len(whole._relevant_sub_fields) == number


async def test_operation_executor_gives_each_event_its_own_cache() -> None:
    whole = executor(SUBSCRIPTION, OperationExecutor)
    each = whole.build_per_event_executor(EVENT)
    assert execute_subscription_event(each).data == EVENT
    assert len(each._relevant_sub_fields) == 1
    for _ in range(3):
        assert (await execute_event(whole, EVENT)).data == EVENT
    assert whole._relevant_sub_fields == {}


async def test_source_is_event_stream_or_error() -> None:
    """For `source_of` in `engine/graphql_core`. Async generators are returned unchanged."""

    async def grow() -> Any:
        yield EVENT
        await asyncio.sleep(0)

    events = grow()
    found = await source_of(executor(SUBSCRIPTION, root_value={"grown": lambda _: events}))
    assert not isinstance(found, ExecutionResult)
    assert [event async for event in found] == [EVENT]
    failed = await source_of(executor(SUBSCRIPTION, root_value={}))
    assert isinstance(failed, ExecutionResult)
    assert failed.errors
    assert failed.data is None


EXCEED_LIMIT = {
    "tokens": lambda: parse("{ a b c d }", max_lexical_tokens=3),
    "comments": lambda: parse("#\n#\n{ a }", max_comments=1),
    "length": lambda: parse("{ a b c d }", max_source_length=5),
    "depth": lambda: parse("{ a" * 10_000 + "}" * 10_000),
}


@pytest.mark.parametrize("kind", EXCEED_LIMIT)
def test_parser_limit_errors_are_recognized(kind: str) -> None:
    """`is_over_limit` in `engine/graphql_core` matches the end of the text. There is no code."""
    with pytest.raises(GraphQLError) as over:
        EXCEED_LIMIT[kind]()
    assert is_over_limit(over.value)
    assert not over.value.extensions


def test_too_many_validation_errors_are_recognized() -> None:
    """The limit error follows the allowed number of errors."""
    found = validate(SCHEMA, parse("{ a b c d }"), max_errors=2, hide_suggestions=True)
    assert [is_over_limit(error) for error in found] == [False, False, True]
    assert not found[-1].extensions
    assert "Did you mean" not in str(found)


def test_ordinary_errors_are_not_limit_errors() -> None:
    for query in ("{ a", "{ leaf }", '{ leaf(number: "aborted") { label } }', "{ leaf { b } }"):
        try:
            found = validate(SCHEMA, parse(query))
        except GraphQLError as error:
            found = [error]
        assert found
        assert not any(map(is_over_limit, found))


def test_comparison_limit_of_field_merging_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """`limit_comparisons` sets a global that each validation reads."""
    monkeypatch.setattr(overlapping, "MAX_COMPLEXITY_BUDGET", overlapping.MAX_COMPLEXITY_BUDGET)
    document = parse("{" + "leaves { label } " * 50 + "}")
    assert validate(SCHEMA, document) == []
    limit_comparisons(10)
    assert [is_over_limit(error) for error in validate(SCHEMA, document)] == [True]


def test_empty_selection_is_valid() -> None:
    """The reason why `limits` rejects it."""
    document = parse("{ leaf {} }")
    assert validate(SCHEMA, document) == []
    assert execute(SCHEMA, document, root_value={"leaf": {}}).data == {"leaf": {}}  # type: ignore[union-attr]


def test_collect_fields_and_subfields() -> None:
    """The compiler walks an operation by these: response keys, each with its nodes."""
    document = parse("""
        query ($no: Boolean!) { one: leaf { label ...f } two: leaf @skip(if: $no) { color } }
        fragment f on Leaf { label other: color }
    """)
    operation, fragment = document.definitions
    assert isinstance(fragment, FragmentDefinitionNode)
    fragments, variables = {"f": FragmentDetails(fragment)}, VariableValues({}, {"no": True})
    query: Any = SCHEMA.query_type
    collected = collect_fields(SCHEMA, fragments, variables, query, operation)  # type: ignore[arg-type]
    assert [*collected.grouped_field_set] == ["one"]
    found = collected.grouped_field_set["one"]
    assert [(type(each.node), each.defer_usage) for each in found] == [(FieldNode, None)]
    leaf: Any = SCHEMA.get_type("Leaf")
    inside = collect_subfields(SCHEMA, fragments, variables, operation, leaf, found)  # type: ignore[arg-type]
    lengths = {key: len(each) for key, each in inside.grouped_field_set.items()}
    assert lengths == {"label": 2, "other": 1}


def test_default_values_are_coerced() -> None:
    """`compiler/inputs` uses it for omitted values. Without a default, it is Undefined."""
    assert isinstance(SCHEMA.query_type, GraphQLObjectType)
    arguments = SCHEMA.query_type.fields["leaf"].args
    assert coerce_default_value(arguments["number"]) == 3
    assert coerce_default_value(arguments["other"]) is Undefined
    wish: Any = SCHEMA.get_type("Wish")
    assert coerce_default_value(wish.fields["text"]) == "none"


def test_argument_and_variable_values() -> None:
    """The compiler and the engine use `VariableValues({}, values)`: values by name."""
    query: Any = SCHEMA.query_type
    operation: Any = parse("query ($n: Int) { leaf(number: $n) { label } }").definitions[0]
    node = operation.selection_set.selections[0]
    given = get_argument_values(query.fields["leaf"], node, VariableValues({}, {"n": 7}))
    assert given == {"number": 7}
    definitions = operation.variable_definitions
    variables: Any = get_variable_values(SCHEMA, definitions, {"n": 7}, hide_suggestions=True)
    assert variables.coerced == {"n": 7}
    errors = get_variable_values(SCHEMA, definitions, {"n": "x"}, max_errors=1)
    assert isinstance(errors, list)
    assert not is_over_limit(errors[0])


def test_leaf_and_input_type_attributes() -> None:
    """For `compiler/leaves` and `compiler/inputs`."""
    color: Any = SCHEMA.get_type("Color")
    assert color.coerce_output_value("RED") == "RED"
    number: Any = SCHEMA.get_type("Int")
    assert number.coerce_input_value(5) == number.coerce_output_value(5) == 5
    with pytest.raises(GraphQLError):
        number.coerce_input_value("5")
    wish: Any = SCHEMA.get_type("Wish")
    assert wish.out_type is wish.__class__.out_type
    assert wish.is_one_of is False
    assert wish.fields["text"].out_name is None


def test_executor_build_returns_executor_or_errors() -> None:
    """`Engine` in `execution`: invalid variables give a list of errors. Middleware runs first."""

    def other(next_: Any, source: Any, info: Any, **arguments: Any) -> Any:
        if info.path.prev is None:
            assert info.path.key == "leaf"
            return {"label": "b"}
        return next_(source, info, **arguments)

    errors = executor(
        "query ($n: Int!) { leaf(number: $n) { label } }", max_coercion_errors=1, context_value=1
    )
    assert isinstance(errors, list)
    valid = executor("{ leaf { label } }", middleware=(other,), hide_suggestions=True)
    assert valid.variable_values.coerced == {}
    assert execute_root_selection_set(valid).data == {"leaf": {"label": "b"}}
