"""Serializes values of scalars and enums.

A value of the usual class is used unchanged. Any other value goes through its type's
`coerce_output_value`, which raises if the type refuses it.
"""

from collections.abc import Callable
from enum import Enum
from typing import Any

from graphql import GraphQLLeafType, GraphQLScalarType

from schema.compiler.codegen import Source
from schema.compiler.strawberry_internals import enum_class

# Built-in scalars, and the test for values that can be used unchanged; {v} is the value.
UNCHANGED = {
    "String": "{v}.__class__ is str",
    "ID": "{v}.__class__ is str",
    "Boolean": "{v}.__class__ is bool",
    "Int": "{v}.__class__ is int and -2147483648 <= {v} <= 2147483647",
    "Float": "{v}.__class__ is float and -1e308 < {v} < 1e308",
}


def serialize_leaf(source: Source, type: GraphQLLeafType, value: str, *, null: bool) -> str:
    """Return an expression that serializes the expression `value`. `null`: it may be null."""
    v = source.fresh("v")
    test = UNCHANGED.get(type.name) if isinstance(type, GraphQLScalarType) else None
    if test is None:
        return f"{source.constant('c', _coerced(type, null=null))}({value})"
    coerced = source.constant("c", _coerced(type, null=null))
    passes = test.format(v=v).replace(v, f"({v} := {value})", 1)
    return f"({v} if {passes} else {coerced}({v}))"


def _coerced(type: GraphQLLeafType, *, null: bool) -> Callable[[Any], Any]:
    """Return a serializer that raises if the type refuses the value, or null if not `null`."""
    coerce = type.coerce_output_value
    names = _names(type)

    def serialize(value: Any) -> Any:
        if value is None:
            if null:
                return None
            raise TypeError("The value is null.")
        if value.__class__ in names:
            return names[value.__class__][value]
        if isinstance(value, Exception):
            raise value
        result = coerce(value)
        if result is None:
            raise TypeError("The type serialized the value to null.")
        return result

    return serialize


def _names(type: GraphQLLeafType) -> dict[type[Any], dict[Any, str]]:
    """Return the names of an enum's members, by its class; empty for other types."""
    cls = enum_class(type)
    if cls is None:
        return {}
    members = cls if issubclass(cls, Enum) else ()
    return {cls: {member: type.coerce_output_value(member) for member in members}}
