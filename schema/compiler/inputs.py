"""Converts variables and arguments to the values that resolvers take.

The converters are built once for each operation. They work in two steps, like graphql-core and
strawberry: GraphQL values are checked and coerced, then input objects are created from them.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING
from typing import Any

from graphql import (
    FieldNode,
    GraphQLArgument,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputType,
    GraphQLSchema,
    Node,
    ObjectValueNode,
    Undefined,
    ValueNode,
    VariableDefinitionNode,
    VariableNode,
    coerce_input_literal,
    is_input_object_type,
    is_list_type,
    is_non_null_type,
    type_from_ast,
)
from graphql.language import Visitor, visit
from strawberry.relay import GlobalID
from strawberry.types import get_object_definition
from strawberry.types import has_object_definition as is_input_class

from schema.compiler.codegen import Unsupported
from schema.compiler.graphql_internals import coerce_default_value
from schema.compiler.strawberry_internals import (
    LazyType,
    StrawberryArgument,
    StrawberryConfig,
    StrawberryList,
    StrawberryMaybe,
    StrawberryOptional,
)

Values = Mapping[str, Any]
Coerce = Callable[[Any], Any]
# Scalars whose values of this class need no coercion.
PLAIN = {"String": str, "ID": str, "Boolean": bool}


class Variables:
    """The variables of one operation. Raises Unsupported if one can't be compiled."""

    def __init__(
        self, schema: GraphQLSchema, definitions: Collection[VariableDefinitionNode]
    ) -> None:
        self._all: list[tuple[str, Coerce, Any, bool]] = []
        for node in definitions:
            type: Any = type_from_ast(schema, node.type)
            if type is None:
                raise Unsupported("a variable of unknown type")
            default = Undefined
            if node.default_value:
                default = coerce_input_literal(node.default_value, type)
                if default is Undefined:
                    raise Unsupported("a wrong default")
            name = node.variable.name.value
            self._all.append((name, _coercer(type), default, is_non_null_type(type)))

    def coerced(self, raw: Values) -> dict[str, Any] | None:
        """Coerce the variables; None if graphql-core has to check them."""
        values = {}
        try:
            for name, coerce, default, required in self._all:
                if name in raw:
                    values[name] = coerce(raw[name])
                elif default is not Undefined:
                    values[name] = default
                elif required:
                    return None
        except Exception:  # noqa: BLE001  a scalar may raise anything
            return None
        return values


def _coercer(type: GraphQLInputType) -> Coerce:
    """Return a function that coerces a value, and raises if it may be invalid."""
    if is_non_null_type(type):
        return _required(_non_null_coercer(type.of_type))
    coerce = _non_null_coercer(type)
    return lambda value: None if value is None else coerce(value)


def _required(coerce: Coerce) -> Coerce:
    def non_null(value: Any) -> Any:
        if value is None:
            raise TypeError("The value is null.")
        return coerce(value)

    return non_null


def _non_null_coercer(type: Any) -> Coerce:
    if is_list_type(type):
        item = _coercer(type.of_type)

        def items(value: Any) -> Any:
            if value.__class__ is not list:
                raise TypeError("The value is not a list.")
            return [item(each) for each in value]

        return items
    if is_input_object_type(type):
        return _object_coercer(type)
    plain, coerce = PLAIN.get(type.name), type.coerce_input_value
    return lambda value: value if value.__class__ is plain else coerce(value)


def _object_coercer(type: Any) -> Coerce:
    if type.is_one_of or type.out_type is not type.__class__.out_type:
        raise Unsupported("an input object with its own conversion")
    fields: dict[str, tuple[Coerce, Any, bool]] = {}
    prepared = False

    def coerced(value: Any) -> Any:
        nonlocal prepared
        if value.__class__ is not dict:
            raise TypeError("The value is not an input object.")
        if not prepared:
            # At the first call: an input class may refer to itself.
            fields.update({name: _field(field) for name, field in type.fields.items()})
            prepared = True
        if not value.keys() <= fields.keys():
            raise KeyError("The input object has an unknown field.")
        values = {}
        for name, (coerce, default, required) in fields.items():
            if name in value:
                values[name] = coerce(value[name])
            elif default is not Undefined:
                values[name] = default
            elif required:
                raise KeyError(name)
        return values

    return coerced


def _field(field: GraphQLInputField) -> tuple[Coerce, Any, bool]:
    if field.out_name:
        raise Unsupported("a field with an out_name")
    return _coercer(field.type), coerce_default_value(field), is_non_null_type(field.type)


class Arguments:
    """The arguments of one field of an operation, as keywords for its resolver.

    Raises Unsupported if one can't be compiled.
    """

    def __init__(
        self,
        field: GraphQLField,
        node: FieldNode,
        arguments: Collection[StrawberryArgument],
        config: StrawberryConfig,
    ) -> None:
        given = {argument.name.value: argument.value for argument in node.arguments or ()}
        self._all: list[tuple[str, Callable[[Values], Any], Coerce | None]] = []
        for argument in arguments:
            name = config.name_converter.from_argument(argument)
            definition = field.args[name]
            self._all.append(
                (
                    argument.python_name,
                    _value(definition, given.get(name)),
                    _maker(argument.type, config),
                )
            )

    def keywords(self, variables: Values) -> dict[str, Any]:
        """Raises any exception if a value may be invalid."""
        keywords = {}
        for name, value_of, make in self._all:
            value = value_of(variables)
            if value is not Undefined:
                keywords[name] = make(value) if make else value
        return keywords


def _value(
    definition: GraphQLArgument | GraphQLInputField, node: ValueNode | None
) -> Callable[[Values], Any]:
    """Return a function for the value; Undefined if it is omitted. It may raise."""
    type, default = definition.type, coerce_default_value(definition)
    required = is_non_null_type(type)
    if isinstance(node, VariableNode):
        return _variable(node.name.value, default, required=required)
    if node is not None and has_variable(node):
        inner: Any = type.of_type if is_non_null_type(type) else type
        if not isinstance(node, ObjectValueNode) or not is_input_object_type(inner):
            raise Unsupported("a variable inside a list")
        return _object_value(inner, node)
    constant = default if node is None else coerce_input_literal(node, type)
    if constant is Undefined and (required or node is not None):
        raise Unsupported("a wrong value")
    return lambda _: constant


def _variable(name: str, default: Any, *, required: bool) -> Callable[[Values], Any]:
    def value(variables: Values) -> Any:
        result = variables.get(name, default)
        if required and (result is None or result is Undefined):
            raise TypeError("The value is null.")
        return result

    return value


def _object_value(type: Any, node: ObjectValueNode) -> Callable[[Values], Any]:
    if type.is_one_of or type.out_type is not type.__class__.out_type:
        raise Unsupported("an input object with its own conversion")
    nodes = {field.name.value: field.value for field in node.fields}
    fields = []
    for name, field in type.fields.items():
        if field.out_name:
            raise Unsupported("a field with an out_name")
        fields.append((name, _value(field, nodes.get(name))))

    def value(variables: Values) -> Any:
        values = {name: value_of(variables) for name, value_of in fields}
        return {name: value for name, value in values.items() if value is not Undefined}

    return value


def _maker(type: Any, config: StrawberryConfig) -> Coerce | None:
    """Return a function that creates input objects from coerced values; None if not needed."""
    if isinstance(type, StrawberryMaybe):
        raise Unsupported("a Maybe")
    if isinstance(type, StrawberryOptional):
        return _maker(type.of_type, config)
    if isinstance(type, LazyType):
        return _maker(type.resolve_type(), config)
    if isinstance(type, StrawberryList):
        item = _maker(type.of_type, config)
        # Always a copy: the list may be a default.
        return lambda value: None if value is None else [item(v) if item else v for v in value]
    if is_input_class(type):
        return _object_maker(type, config)
    if type is GlobalID:
        raise Unsupported("a global id")
    return None


def _object_maker(type: Any, config: StrawberryConfig) -> Coerce:
    definition = get_object_definition(type, strict=True)
    if definition.from_input is not None or not definition.is_input:
        raise Unsupported("an input class with its own constructor")
    # strawberry sets omitted fields to None if their class has no default.
    fields: list[tuple[str, str, Coerce | None]] = []
    absent: dict[str, None] = {}
    prepared = False

    def make(value: Any) -> Any:
        nonlocal prepared
        if value is None:
            return None
        if not prepared:
            for field in definition.fields:
                name = config.name_converter.from_field(field)
                inner = _maker(field.resolve_type(type_definition=definition), config)
                fields.append((name, field.python_name, inner))
                if field.default_value is MISSING and field.default_factory is MISSING:
                    absent[field.python_name] = None
            prepared = True
        keywords: dict[str, Any] = dict(absent)
        for name, python_name, inner in fields:
            if name in value:
                keywords[python_name] = inner(value[name]) if inner else value[name]
        return type(**keywords)

    return make


def has_variable(root: Node) -> bool:
    found = False

    class VariableFinder(Visitor):
        def enter_variable(self, *_: object) -> None:
            nonlocal found
            found = True

    visit(root, VariableFinder())
    return found
