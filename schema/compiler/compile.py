"""Compiles an operation to functions that build its result."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import strawberry
from graphql import (
    FragmentDefinitionNode,
    GraphQLField,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    OperationDefinitionNode,
    OperationType,
    VariableValues,
    is_abstract_type,
    is_leaf_type,
)

from schema.compiler.codegen import Source, Unsupported
from schema.compiler.fields import Fields
from schema.compiler.graphql_internals import (
    FieldDetailsList,
    FragmentDetails,
    GroupedFieldSet,
    collect_fields,
    collect_subfields,
)
from schema.compiler.leaves import serialize_leaf
from schema.compiler.run import BUILT_IN, Compiled, Root
from schema.compiler.strawberry_internals import DEFINITION, core_schema

TYPENAME = "__typename"
CALL = re.compile(r"w\d+\(o, q\)")


@dataclass(frozen=True, slots=True)
class Expression:
    """`awaited`: the value is a coroutine."""

    text: str
    awaited: bool = False


class Compiler:
    """Compiles operations on one schema."""

    def __init__(self, schema: strawberry.Schema) -> None:
        self._schema = core_schema(schema)
        self._fields = Fields(schema)

    def compile(
        self,
        operation: OperationDefinitionNode,
        fragments: Mapping[str, FragmentDefinitionNode],
        conditions: Mapping[str, bool],
    ) -> Compiled:
        """Compile an operation of a valid document.

        `conditions`: values of the variables in `@skip` and `@include`. Raises Unsupported if the
        operation can't be compiled.
        """
        return _Operation(self._schema, self._fields, operation, fragments, conditions).compiled()


class _Operation:
    def __init__(
        self,
        schema: Any,
        fields: Fields,
        operation: OperationDefinitionNode,
        fragments: Mapping[str, FragmentDefinitionNode],
        conditions: Mapping[str, bool],
    ) -> None:
        self._schema = schema
        self._fields = fields
        self._operation = operation
        self._fragments = {name: FragmentDetails(node) for name, node in fragments.items()}
        self._variables = VariableValues({}, dict(conditions))
        self._source = Source()
        self._source.names.update(BUILT_IN)

    def compiled(self) -> Compiled:
        serial = self._operation.operation is OperationType.MUTATION
        root = self._schema.get_root_type(self._operation.operation)
        collected = collect_fields(
            self._schema, self._fragments, self._variables, root, self._operation
        )
        roots = [
            self._root(root, key, details) for key, details in collected.grouped_field_set.items()
        ]
        built = self._source.built()
        return Compiled(
            [
                Root(key, built[value], awaited, built[complete], complete_awaited, caller_only)
                for key, value, awaited, complete, complete_awaited, caller_only in roots
            ],
            serial=serial,
            text=self._source.text,
            plain_variables=self._source.plain_variables,
        )

    def _root(
        self, root: GraphQLObjectType, key: str, details: FieldDetailsList
    ) -> tuple[str, str, bool, str, bool, bool]:
        field = self._field(root, details)
        if self._operation.operation is OperationType.SUBSCRIPTION:
            value, awaited = "q.event", False
        else:
            value, awaited = self._value(root, field, details)
        get, complete = self._source.fresh("r"), self._source.fresh("t")
        self._source.function(f"def {get}(o, q):\n    return {value}")
        done = self._completed(field.type, "o", details) if field else Expression("o")
        self._source.function(f"def {complete}(o, q):\n    return {done.text}")
        caller_only = awaited and field is not None and self._fields.is_caller_only(field)
        return key, get, awaited, complete, done.awaited, caller_only

    def _selection(self, type: GraphQLObjectType, details: FieldDetailsList) -> Expression:
        """Return the name of a function that takes an object of this type and the run."""
        collected = collect_subfields(
            self._schema, self._fragments, self._variables, self._operation, type, details
        )
        return self._function(type, collected.grouped_field_set)

    def _function(self, type: GraphQLObjectType, fields: GroupedFieldSet) -> Expression:
        entries, awaited = [], []
        for key, details in fields.items():
            value = self._entry(type, details)
            if value.awaited:
                awaited.append(self._wrapped(value.text))
                value = Expression(f"a[{len(awaited) - 1}]")
            entries.append(f"{key!r}: {value.text}")
        name = self._source.fresh("s")
        lines = [f"{'async ' if awaited else ''}def {name}(o, q):"]
        lines += ["    if isinstance(o, Exception):", "        raise o"]
        if type.is_type_of:
            lines += [f"    if not {self._source.constant('y', type.is_type_of)}(o, None):"]
            lines += ["        raise TypeError(o)"]
        if len(awaited) == 1:
            lines.append(f"    a = (await {awaited[0]},)")
        elif awaited:
            lines.append(f"    a = await gather({', '.join(awaited)})")
        lines.append(f"    return {{{', '.join(entries)}}}")
        self._source.function("\n".join(lines))
        return Expression(name, bool(awaited))

    def _entry(self, type: GraphQLObjectType, details: FieldDetailsList) -> Expression:
        field = self._field(type, details)
        value, awaited = self._value(type, field, details)
        if field is None:
            return Expression(value)
        if not awaited:
            return self._completed(field.type, value, details)
        name = self._source.fresh("w")
        done = self._completed(field.type, f"(await {value})", details)
        text = f"await {done.text}" if done.awaited else done.text
        self._source.function(f"async def {name}(o, q):\n    return {text}")
        return Expression(f"{name}(o, q)", awaited=True)

    def _field(self, type: GraphQLObjectType, details: FieldDetailsList) -> GraphQLField | None:
        """Return the schema's field; None for `__typename`."""
        name = details[0].node.name.value
        if name == TYPENAME:
            return None
        field: GraphQLField | None = type.fields.get(name)
        if field is None:
            raise Unsupported("introspection")
        return field

    def _value(
        self, type: GraphQLObjectType, field: GraphQLField | None, details: FieldDetailsList
    ) -> tuple[str, bool]:
        if any(detail.defer_usage for detail in details):
            raise Unsupported("@defer")
        if field is None:
            return repr(type.name), False
        return self._fields.value(self._source, field, details[0].node)

    def _completed(
        self, type: GraphQLOutputType, value: str, details: FieldDetailsList
    ) -> Expression:
        """Code that completes the expression `value` and evaluates it exactly once."""
        null = not isinstance(type, GraphQLNonNull)
        inner: Any = type if null else type.of_type  # type: ignore[union-attr]
        if is_leaf_type(inner):
            return Expression(serialize_leaf(self._source, inner, value, null=null))
        v = self._source.fresh("v")
        done = self._structure(inner, v, details)
        none = ("absent()" if done.awaited else "None") if null else "missing()"
        text = f"({done.text} if ({v} := {value}) is not None else {none})"
        return Expression(text, done.awaited)

    def _structure(self, type: Any, v: str, details: FieldDetailsList) -> Expression:
        """Code that completes a non-null value with the name `v`."""
        if isinstance(type, GraphQLList):
            return self._list(type, v, details)
        if is_abstract_type(type):
            return self._abstract(type, v, details)
        function = self._selection(type, details)
        return Expression(f"{function.text}({v}, q)", function.awaited)

    def _list(self, type: GraphQLList[Any], v: str, details: FieldDetailsList) -> Expression:
        x = self._source.fresh("x")
        item = self._completed(type.of_type, x, details)
        if not item.awaited:
            return Expression(f"[{item.text} for {x} in listed({v})]")
        name = self._source.fresh("i")
        self._source.function(f"async def {name}({x}, q):\n    return await {item.text}")
        return Expression(f"gather(*[{name}({x}, q) for {x} in listed({v})])", awaited=True)

    def _wrapped(self, awaited: str) -> str:
        """Return a call that can't fail before it is awaited.

        Otherwise coroutines created before it would never be awaited.
        """
        if CALL.fullmatch(awaited):
            return awaited
        name = self._source.fresh("w")
        self._source.function(f"async def {name}(o, q):\n    return await {awaited}")
        return f"{name}(o, q)"

    def _abstract(self, type: Any, v: str, details: FieldDetailsList) -> Expression:
        """Select the type by the value's class; fall back if it is not a strawberry type."""
        by_class, awaited = {}, False
        for possible in self._schema.get_possible_types(type):
            definition = possible.extensions[DEFINITION]
            function = self._selection(possible, details)
            by_class[definition.origin] = function
            awaited = awaited or function.awaited
        name = self._source.fresh("u")
        lines = [f"{'async ' if awaited else ''}def {name}(o, q):", "    c = o.__class__"]
        for origin, function in by_class.items():
            call = f"{'await ' if function.awaited else ''}{function.text}(o, q)"
            lines += [
                f"    if c is {self._source.constant('y', origin)}:",
                f"        return {call}",
            ]
        lines.append("    raise TypeError(o)")
        self._source.function("\n".join(lines))
        return Expression(f"{name}({v}, q)", awaited)
