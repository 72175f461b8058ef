"""The parameters of a route: the variables of its trusted document."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from graphql import (
    FieldNode,
    GraphQLError,
    GraphQLField,
    GraphQLInputType,
    GraphQLSchema,
    ObjectValueNode,
    OperationDefinitionNode,
    ValueNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_input_object_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    type_from_ast,
)
from graphql.utilities import validate_input_value, value_from_ast

from domain.errors import ErrorCode, InputError, Problem

MAX_PROBLEMS = 20
# Characters. Messages of graphql-core quote what the client sent.
MAX_MESSAGE = 300
BOOLEANS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One variable. `path`: its dotted path in the root field's arguments, as in errors; None if it
    is used in several places or in none.
    """

    name: str
    type: GraphQLInputType
    default: Any
    required: bool
    path: str | None
    description: str | None

    @property
    def is_plain(self) -> bool:
        """Whether text can express it: a scalar, an enum, or a list of those."""
        return is_leaf_type(get_named_type(self.type))

    @property
    def is_list(self) -> bool:
        return is_list_type(get_nullable_type(self.type))

    def parse(self, texts: Sequence[str]) -> Any:
        """Parse values of a path or query. Invalid text is returned unchanged; see `problems`."""
        values = [self._parse(text) for text in texts]
        return values if self.is_list else values[-1]

    def _parse(self, text: str) -> Any:
        type = get_named_type(self.type)
        try:
            match type.name:
                case "Int":
                    return int(text)
                case "Float":
                    return float(text)
                case "Boolean":
                    return BOOLEANS.get(text.lower(), text)
        except ValueError:
            pass
        return text

    def problems(self, value: Any) -> Iterator[Problem]:
        problems: list[Problem] = []

        def add(error: GraphQLError, path: Sequence[str | int]) -> None:
            field = ".".join([self.name, *map(str, path)])
            message = error.message[:MAX_MESSAGE].rstrip(".")
            problems.append(Problem(ErrorCode.INVALID, field, f"{message}."))

        validate_input_value(value, self.type, add, hide_suggestions=True)
        yield from problems


class Parameters:
    """The parameters of an operation with one root field."""

    def __init__(self, schema: GraphQLSchema, node: OperationDefinitionNode) -> None:
        root = schema.get_root_type(node.operation)
        field = node.selection_set.selections[0]
        assert root is not None  # noqa: S101  the document is valid
        assert isinstance(field, FieldNode)  # noqa: S101
        places = dict(_places(field, root.fields[field.name.value]))
        self.by_name: dict[str, Parameter] = {}
        for definition in node.variable_definitions or ():
            name = definition.variable.name.value
            type: Any = type_from_ast(schema, definition.type)
            default = definition.default_value
            path, description = places.get(name, (None, None))
            self.by_name[name] = Parameter(
                name,
                type,
                None if default is None else value_from_ast(default, type),
                is_non_null_type(type) and default is None,
                path,
                description,
            )
        self._names = {p.path: p.name for p in self.by_name.values() if p.path}

    def check(self, values: Mapping[str, Any]) -> None:
        """Raises InputError with the first MAX_PROBLEMS problems, if there are any."""
        if problems := list(islice(self._all_problems(values), MAX_PROBLEMS)):
            raise InputError(*problems)

    def _all_problems(self, values: Mapping[str, Any]) -> Iterator[Problem]:
        for name, value in values.items():
            yield from self._problems(name, value)
        for name, parameter in self.by_name.items():
            if parameter.required and name not in values:
                yield Problem(ErrorCode.INVALID, name, f"{name} is required.")

    def _problems(self, name: str, value: Any) -> Iterator[Problem]:
        parameter = self.by_name.get(name)
        if parameter:
            yield from parameter.problems(value)
        else:
            names = ", ".join(self.by_name)
            message = f"Unknown parameter {name[:50]}. The parameters are: {names}."
            yield Problem(ErrorCode.INVALID, name[:50], message)

    def parameter_path(self, field: str | None) -> str | None:
        """Translate a path in the root field's arguments to a path in the parameters."""
        head, tail = field or "", ""
        while head:
            if name := self._names.get(head):
                return name + tail
            head, _, last = head.rpartition(".")
            tail = f".{last}{tail}"
        return field


def _places(node: FieldNode, field: GraphQLField) -> Iterator[tuple[str, tuple[str, str | None]]]:
    """Yield each variable with its path and description.

    Paths omit the name of an input argument, as errors of resolvers do.
    """
    for argument in node.arguments or ():
        definition = field.args[argument.name.value]
        value = argument.value
        if isinstance(value, VariableNode):
            yield value.name.value, (argument.name.value, definition.description)
        elif isinstance(value, ObjectValueNode):
            yield from _nested_places(value, definition.type, ())


def _nested_places(
    value: ValueNode, type: GraphQLInputType, parent: tuple[str, ...]
) -> Iterator[tuple[str, tuple[str, str | None]]]:
    named = get_named_type(type)
    if not isinstance(value, ObjectValueNode) or not is_input_object_type(named):
        return
    for field in value.fields:
        definition = named.fields[field.name.value]
        path = (*parent, field.name.value)
        if isinstance(field.value, VariableNode):
            yield field.value.name.value, (".".join(path), definition.description)
        else:
            yield from _nested_places(field.value, definition.type, path)
