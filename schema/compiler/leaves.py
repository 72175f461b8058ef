"""Values of scalars and enums, as an answer has them.

Where a value is of the usual class it is told as it is; all else goes through the type's own
`coerce_output_value`, which raises for what it does not take.
"""

from collections.abc import Callable
from enum import Enum
from typing import Any

from graphql import GraphQLLeafType, GraphQLScalarType

from schema.compiler.codegen import Source
from schema.compiler.strawberry_internals import enum_class

# Built-in scalars and the test that a value passes as it is; {v} stands for the value.
AS_THEY_ARE = {
    "String": "{v}.__class__ is str",
    "ID": "{v}.__class__ is str",
    "Boolean": "{v}.__class__ is bool",
    "Int": "{v}.__class__ is int and -2147483648 <= {v} <= 2147483647",
    "Float": "{v}.__class__ is float and -1e308 < {v} < 1e308",
}


def serialize_leaf(source: Source, type: GraphQLLeafType, value: str, *, null: bool) -> str:
    """An expression for the value of an expression. `null`: whether it may be null."""
    v = source.fresh("v")
    test = AS_THEY_ARE.get(type.name) if isinstance(type, GraphQLScalarType) else None
    if test is None:
        return f"{source.constant('c', _coerced(type, null=null))}({value})"
    coerced = source.constant("c", _coerced(type, null=null))
    passes = test.format(v=v).replace(v, f"({v} := {value})", 1)
    return f"({v} if {passes} else {coerced}({v}))"


def _coerced(type: GraphQLLeafType, *, null: bool) -> Callable[[Any], Any]:
    """Raises for null where there must be none, and for what the type does not take."""
    coerce = type.coerce_output_value
    names = _names(type)

    def tell(value: Any) -> Any:
        if value is None:
            if null:
                return None
            raise TypeError("There must be no null here.")
        if value.__class__ in names:
            return names[value.__class__][value]
        if isinstance(value, Exception):
            raise value
        result = coerce(value)
        if result is None:
            raise TypeError("Its type makes nothing of it.")
        return result

    return tell


def _names(type: GraphQLLeafType) -> dict[type[Any], dict[Any, str]]:
    """The names of an enum's members, by its class."""
    of = enum_class(type)
    if of is None:
        return {}
    members = of if issubclass(of, Enum) else ()
    return {of: {member: type.coerce_output_value(member) for member in members}}
