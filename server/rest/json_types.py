"""JSON Schema (2020-12, as in OpenAPI 3.1) of the types of the GraphQL schema."""

from collections.abc import Iterator, Mapping
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    InlineFragmentNode,
    SelectionSetNode,
    Undefined,
)

Json = dict[str, Any]

SCALARS: Mapping[str, Json] = {
    "Boolean": {"type": "boolean"},
    "DateTime": {"type": "string", "format": "date-time"},
    "Float": {"type": "number"},
    "ID": {"type": "string"},
    "Int": {"type": "integer"},
    "String": {"type": "string"},
}


class JsonTypes:
    """`components` collects the enums and input types that were used, by name."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self.components: dict[str, Json] = {}
        self._schema = schema

    def given(self, type: GraphQLInputType) -> Json:
        """Describe the values that may be sent for a type."""
        match type:
            case GraphQLNonNull():
                return self.given(type.of_type)
            case GraphQLList():
                return _or_null({"type": "array", "items": self._item(type.of_type)})
            case GraphQLInputObjectType():
                self._input(type)
                return _or_null(_reference(type))
            case _:
                return _or_null(self._leaf(type))

    def required(self, type: GraphQLInputType) -> Json:
        """As `given`, without null."""
        return _not_null(self.given(type))

    def selected(
        self,
        type: GraphQLOutputType,
        selected: SelectionSetNode | None,
        fragments: Mapping[str, FragmentDefinitionNode],
    ) -> Json:
        """Describe the response for a field with this type and selection."""
        match type:
            case GraphQLNonNull():
                return _not_null(self.selected(type.of_type, selected, fragments))
            case GraphQLList():
                items = self.selected(type.of_type, selected, fragments)
                return _or_null({"type": "array", "items": items})
            case GraphQLObjectType() | GraphQLInterfaceType():
                assert selected is not None  # noqa: S101  it was validated
                return _or_null(self._object(type, selected, fragments))
            case _ if selected is None:
                return _or_null(self._leaf(type))
        return {}

    def _item(self, type: GraphQLInputType) -> Json:
        return self.required(type) if isinstance(type, GraphQLNonNull) else self.given(type)

    def _leaf(self, type: Any) -> Json:
        if not isinstance(type, GraphQLEnumType):
            return SCALARS.get(type.name, {})
        self.components.setdefault(
            type.name,
            {"type": "string", "enum": list(type.values), **description_of(type.description)},
        )
        return _reference(type)

    def _input(self, type: GraphQLInputObjectType) -> None:
        if type.name in self.components:
            return
        self.components[type.name] = found = {
            "type": "object",
            **description_of(type.description),
        }
        found["properties"] = {
            name: {**self._item(field.type), **description_of(field.description)}
            for name, field in type.fields.items()
        }
        found["required"] = [
            name
            for name, field in type.fields.items()
            if isinstance(field.type, GraphQLNonNull) and field.default_value is Undefined
        ]
        found["additionalProperties"] = False

    def _object(
        self,
        type: GraphQLObjectType | GraphQLInterfaceType,
        selected: SelectionSetNode,
        fragments: Mapping[str, FragmentDefinitionNode],
    ) -> Json:
        properties: dict[str, Json] = {}
        for node in _fields(selected, fragments):
            if node.name.value not in type.fields:
                continue
            field = type.fields[node.name.value]
            name = (node.alias or node.name).value
            found = self.selected(field.type, node.selection_set, fragments)
            properties[name] = {**found, **description_of(field.description)}
        return {"type": "object", "properties": properties, "required": list(properties)}


def description_of(text: str | None) -> Json:
    return {"description": " ".join(text.split())} if text else {}


def _fields(
    selected: SelectionSetNode, fragments: Mapping[str, FragmentDefinitionNode]
) -> Iterator[FieldNode]:
    for node in selected.selections:
        match node:
            case FieldNode():
                yield node
            case InlineFragmentNode():
                yield from _fields(node.selection_set, fragments)
            case FragmentSpreadNode():
                yield from _fields(fragments[node.name.value].selection_set, fragments)


def _reference(type: GraphQLNamedType) -> Json:
    return {"$ref": f"#/components/schemas/{type.name}"}


def _or_null(found: Json) -> Json:
    if "$ref" in found:
        return {"anyOf": [found, {"type": "null"}]}
    return {**found, "type": [found["type"], "null"]} if "type" in found else found


def _not_null(found: Json) -> Json:
    if "anyOf" in found:
        return {**found["anyOf"][0], **{k: v for k, v in found.items() if k != "anyOf"}}
    return {**found, "type": found["type"][0]} if "type" in found else found
