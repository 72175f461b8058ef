"""Undocumented behaviour of strawberry that `schema/` relies on."""

import asyncio
import inspect
from collections.abc import AsyncGenerator
from enum import Enum
from typing import Annotated, Any

import pytest
import strawberry
from graphql import (
    FieldNode,
    GraphQLEnumType,
    GraphQLSchema,
    VariableValues,
    get_argument_values,
    parse,
    validate,
)
from strawberry.extensions import FieldExtension

from schema.compiler import strawberry_internals as internals
from schema.compiler.strawberry_internals import DEFINITION, DOCUMENT_RULES
from schema.engine.graphql_core import OperationExecutor


@strawberry.enum
class Color(Enum):
    RED = "r"


@strawberry.input
class Wish:
    text: str
    deep: "Wish | None" = None
    colors: list[Color] | None = None
    perhaps: strawberry.Maybe[int]


@strawberry.input(one_of=True)
class Either:
    one: strawberry.Maybe[int]
    two: strawberry.Maybe[int]


class Loud(FieldExtension):
    def resolve(self, next_: Any, source: Any, info: strawberry.Info, **kwargs: Any) -> Any:
        return next_(source, info, **kwargs).upper()


@strawberry.type
class Leaf:
    label_text: str
    color: Color = Color.RED


@strawberry.type
class Query:
    @strawberry.field(metadata={"cost": 4})
    def leaf(self, info: strawberry.Info, wish: Wish | None = None, some_number: int = 3) -> Leaf:
        return Leaf(label_text=f"{info.context} {wish} {some_number}")

    @strawberry.field
    async def later(self) -> int:
        return 1

    @strawberry.field(extensions=[Loud()])
    def loud(self, either: Either | None = None) -> str:
        return f"loud {either}"


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def grown(self) -> AsyncGenerator[Leaf]:
        yield Leaf(label_text="grown")


SCHEMA = strawberry.Schema(query=Query, subscription=Subscription)
CORE = internals.core_schema(SCHEMA)


def core_field(name: str, type: str = "Query") -> Any:
    found: Any = CORE.get_type(type)
    return found.fields[name]


def definition(name: str, type: str = "Query") -> Any:
    return core_field(name, type).extensions[DEFINITION]


def test_core_schema_is_graphql_schema() -> None:
    """`Engine` and `Compiler` use `core_schema`."""
    assert isinstance(CORE, GraphQLSchema)
    assert CORE.get_type("Wish") is not None


def test_types_and_fields_have_definitions() -> None:
    """`DEFINITION`: the compiler reads the class of a type; `fields` and `cost` read the field."""
    leaf: Any = CORE.get_type("Leaf")
    assert leaf.extensions[DEFINITION].origin is Leaf
    field = definition("leaf")
    assert isinstance(field, internals.StrawberryField)
    assert (field.python_name, field.metadata) == ("leaf", {"cost": 4})
    assert "__typename" not in leaf.fields


def test_field_definition_attributes() -> None:
    """`Fields` reads whether a value is an attribute, and whether it must be awaited."""
    label = definition("labelText", "Leaf")
    assert (label.is_basic_field, label.python_name) == (True, "label_text")
    kinds = {name: definition(name).is_async for name in ("leaf", "later", "loud")}
    assert kinds == {"leaf": False, "later": True, "loud": False}
    assert not any(definition(name).is_basic_field for name in kinds)
    assert SCHEMA.config.default_resolver is getattr


def test_has_exception_handlers_of_field() -> None:
    """A field with an exception handler is executed by graphql-core."""

    @strawberry.type
    class Failed:
        reason: str

    class Handler(strawberry.ExceptionHandler[ValueError, Failed]):
        def handle(self, exception: ValueError, **_: Any) -> Failed:
            return Failed(reason=str(exception))

    @strawberry.type
    class Handled:
        plain: int = 1

        @strawberry.field
        def leaf(self) -> Annotated[Leaf | Failed, strawberry.union("LeafOrFailed")]:
            raise ValueError

    schema = strawberry.Schema(query=Handled, exception_handlers=[Handler()])
    fields: Any = internals.core_schema(schema).query_type
    found = {
        name: internals.has_exception_handlers(
            schema.schema_converter, fields.fields[name].extensions[DEFINITION]
        )
        for name in ("plain", "leaf")
    }
    assert found == {"plain": False, "leaf": True}


def test_resolver_function_and_parameters() -> None:
    """`compiler/fields` calls it with keyword arguments; only the source is positional."""
    resolver = definition("leaf").base_resolver
    assert isinstance(resolver, internals.StrawberryResolver)
    function = internals.resolver_function(resolver)
    assert [*inspect.signature(function).parameters] == ["self", "info", "wish", "some_number"]
    assert resolver.info_parameter.name == "info"
    assert resolver.self_parameter
    assert resolver.parent_parameter is None
    assert resolver.root_parameter is None
    run = type("Run", (), {"context": 5})()
    info = internals.info_of(run, definition("leaf"))
    assert function(None, info=info, some_number=2).label_text == "5 None 2"


def test_info_needs_only_context_of_run() -> None:
    """`info_of`, called by `Run.info`, needs only the attributes that are read."""
    run = type("Run", (), {"context": {"a": 1}})()
    info = internals.info_of(run, definition("leaf"))
    assert isinstance(info, strawberry.Info)
    assert info.context == {"a": 1}
    assert info.python_name == "leaf"


def test_field_extensions_wrap_resolver() -> None:
    """`compiler/fields` chains them. The first of the list is the innermost."""
    field = definition("loud")
    (extension,) = internals.build_field_extension_resolvers(field)
    assert extension(lambda *_: "quiet", None, None) == "QUIET"
    assert internals.build_field_extension_resolvers(definition("leaf")) == []
    assert [type(each).map_arguments for each in field.extensions] == [FieldExtension.map_arguments]


def test_arguments_are_converted() -> None:
    """`Fields` converts all at once, `inputs.Arguments` one by one."""
    document: Any = parse('{ leaf(wish: {text: "a", colors: [RED]}) { color } }')
    node: FieldNode = document.definitions[0].selection_set.selections[0]
    converter = SCHEMA.schema_converter
    found = internals.convert_arguments(
        get_argument_values(core_field("leaf"), node, VariableValues({}, {})),
        definition("leaf").arguments,
        scalar_registry=converter.scalar_registry,
        config=converter.config,
    )
    assert found == {"wish": Wish(text="a", colors=[Color.RED], perhaps=None), "some_number": 3}
    names = [converter.config.name_converter.from_argument(a) for a in definition("leaf").arguments]
    assert names == ["wish", "someNumber"]
    assert [a.python_name for a in definition("leaf").arguments] == ["wish", "some_number"]


def test_input_type_definitions() -> None:
    """`compiler/inputs` reads the fields of input types."""
    (wish, number) = definition("leaf").arguments
    assert isinstance(wish.type, internals.StrawberryOptional)
    assert wish.type.of_type is Wish
    assert number.type is int
    found: Any = strawberry.types.get_object_definition(Wish, strict=True)
    assert (found.is_input, found.from_input) == (True, None)
    types = {field.python_name: field.resolve_type(type_definition=found) for field in found.fields}
    assert types["text"] is str
    assert types["deep"].of_type is Wish
    assert isinstance(types["colors"].of_type, internals.StrawberryList)
    assert isinstance(types["perhaps"], internals.StrawberryMaybe)
    names = [SCHEMA.config.name_converter.from_field(field) for field in found.fields]
    assert names == ["text", "deep", "colors", "perhaps"]
    assert isinstance(SCHEMA.config, internals.StrawberryConfig)
    assert issubclass(internals.LazyType, object)
    assert callable(internals.LazyType.resolve_type)


def test_enum_class_of_type() -> None:
    """`leaves` distinguishes members by their class."""
    color: Any = CORE.get_type("Color")
    assert isinstance(color, GraphQLEnumType)
    assert internals.enum_class(color) is Color
    assert color.coerce_output_value(Color.RED) == "RED"
    string: Any = CORE.get_type("String")
    assert internals.enum_class(string) is None


@pytest.mark.parametrize(
    ("query", "errors"),
    [
        ("{ loud(either: {one: 1}) }", 0),
        ("{ loud(either: {one: 1, two: 2}) }", 1),
        ('{ leaf(wish: {text: "a", perhaps: null}) { color } }', 1),
    ],
)
def test_document_rules_find_errors(query: str, errors: int) -> None:
    """`documents` adds `DOCUMENT_RULES` to the rules of graphql-core."""
    assert len(validate(CORE, parse(query), DOCUMENT_RULES)) == errors


async def test_operation_executor_runs_strawberry_resolvers() -> None:
    """`OperationExecutor` in `engine/graphql_core` runs strawberry's resolvers."""
    executor: Any = OperationExecutor.build(
        CORE, parse("{ leaf { labelText color } later loud }"), context_value=7
    )
    result = executor.execute_operation()
    result = await result if asyncio.iscoroutine(result) else result
    leaf = {"labelText": "7 None 3", "color": "RED"}
    assert result.data == {"leaf": leaf, "later": 1, "loud": "LOUD NONE"}


async def test_process_errors_can_be_overridden() -> None:
    """`build.Schema` overrides `process_errors`."""
    seen: list[Any] = []

    class RecordingSchema(strawberry.Schema):
        def process_errors(self, errors: Any, execution_context: Any = None) -> None:
            seen.extend(errors)
            assert execution_context

    result = await RecordingSchema(query=Query).execute("{ nothing }")
    assert result.errors == seen
