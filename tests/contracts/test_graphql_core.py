"""What `schema/` relies on in graphql-core, beside its documented names."""

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


def test_the_executors_of_all_events_share_a_cache() -> None:
    """So `OperationExecutor` in `engine/graphql_core` gives each event one of its own."""
    whole = executor(SUBSCRIPTION)
    for number in range(1, 4):
        each = whole.build_per_event_executor(EVENT)
        assert each._relevant_sub_fields is whole._relevant_sub_fields
        assert execute_subscription_event(each).data == EVENT
        assert len(whole._relevant_sub_fields) == number


async def test_the_executor_of_an_event_keeps_no_cache() -> None:
    """`OperationExecutor` in `engine/graphql_core`."""
    whole = executor(SUBSCRIPTION, OperationExecutor)
    each = whole.build_per_event_executor(EVENT)
    assert execute_subscription_event(each).data == EVENT
    assert len(each._relevant_sub_fields) == 1
    for _ in range(3):
        assert (await execute_event(whole, EVENT)).data == EVENT
    assert whole._relevant_sub_fields == {}


async def test_an_event_stream_or_an_error() -> None:
    """`source_of` in `engine/graphql_core`: async generators come as they are."""

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


LIMITED = {
    "tokens": lambda: parse("{ a b c d }", max_lexical_tokens=3),
    "comments": lambda: parse("#\n#\n{ a }", max_comments=1),
    "length": lambda: parse("{ a b c d }", max_source_length=5),
    "depth": lambda: parse("{ a" * 10_000 + "}" * 10_000),
}


@pytest.mark.parametrize("kind", LIMITED)
def test_the_text_of_a_limit_of_the_parser(kind: str) -> None:
    """`is_over_limit` in `engine/graphql_core` knows it by its end, and `documents` by no code."""
    with pytest.raises(GraphQLError) as over:
        LIMITED[kind]()
    assert is_over_limit(over.value)
    assert not over.value.extensions


def test_the_text_of_too_many_errors() -> None:
    """As above; it comes behind as many errors as were allowed."""
    found = validate(SCHEMA, parse("{ a b c d }"), max_errors=2, hide_suggestions=True)
    assert [is_over_limit(error) for error in found] == [False, False, True]
    assert not found[-1].extensions
    assert "Did you mean" not in str(found)


def test_the_texts_of_ordinary_errors() -> None:
    """None of them may look like a limit."""
    for query in ("{ a", "{ leaf }", '{ leaf(number: "aborted") { label } }', "{ leaf { b } }"):
        try:
            found = validate(SCHEMA, parse(query))
        except GraphQLError as error:
            found = [error]
        assert found
        assert not any(map(is_over_limit, found))


def test_the_meter_of_comparisons(monkeypatch: pytest.MonkeyPatch) -> None:
    """`limit_comparisons` sets a global that is read at each validation."""
    monkeypatch.setattr(overlapping, "MAX_COMPLEXITY_BUDGET", overlapping.MAX_COMPLEXITY_BUDGET)
    document = parse("{" + "leaves { label } " * 50 + "}")
    assert validate(SCHEMA, document) == []
    limit_comparisons(10)
    assert [is_over_limit(error) for error in validate(SCHEMA, document)] == [True]


def test_an_empty_selection_passes() -> None:
    """So `limits` refuses it."""
    document = parse("{ leaf {} }")
    assert validate(SCHEMA, document) == []
    assert execute(SCHEMA, document, root_value={"leaf": {}}).data == {"leaf": {}}  # type: ignore[union-attr]


def test_collected_fields() -> None:
    """`compile` goes through an operation with them: by key, each with its nodes."""
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


def test_a_default_value() -> None:
    """`compiler/inputs` takes it for what is left out, and Undefined where there is none."""
    assert isinstance(SCHEMA.query_type, GraphQLObjectType)
    arguments = SCHEMA.query_type.fields["leaf"].args
    assert coerce_default_value(arguments["number"]) == 3
    assert coerce_default_value(arguments["other"]) is Undefined
    wish: Any = SCHEMA.get_type("Wish")
    assert coerce_default_value(wish.fields["text"]) == "none"


def test_arguments_and_variables() -> None:
    """`VariableValues({}, values)` in `fields`, `compile` and `execution`: values by name."""
    query: Any = SCHEMA.query_type
    operation: Any = parse("query ($n: Int) { leaf(number: $n) { label } }").definitions[0]
    node = operation.selection_set.selections[0]
    given = get_argument_values(query.fields["leaf"], node, VariableValues({}, {"n": 7}))
    assert given == {"number": 7}
    definitions = operation.variable_definitions
    looked_at: Any = get_variable_values(SCHEMA, definitions, {"n": 7}, hide_suggestions=True)
    assert looked_at.coerced == {"n": 7}
    wrong = get_variable_values(SCHEMA, definitions, {"n": "x"}, max_errors=1)
    assert isinstance(wrong, list)
    assert not is_over_limit(wrong[0])


def test_what_leaves_and_inputs_read_of_types() -> None:
    """`compiler/leaves` and `compiler/inputs`."""
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


def test_an_executor_or_errors() -> None:
    """`Engine._executor` in `execution`: a list says what is wrong, and middleware comes first."""

    def other(next_: Any, source: Any, info: Any, **arguments: Any) -> Any:
        if info.path.prev is None:
            assert info.path.key == "leaf"
            return {"label": "b"}
        return next_(source, info, **arguments)

    wrong = executor(
        "query ($n: Int!) { leaf(number: $n) { label } }", max_coercion_errors=1, context_value=1
    )
    assert isinstance(wrong, list)
    right = executor("{ leaf { label } }", middleware=(other,), hide_suggestions=True)
    assert right.variable_values.coerced == {}
    assert execute_root_selection_set(right).data == {"leaf": {"label": "b"}}
