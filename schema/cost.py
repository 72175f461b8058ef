"""What an operation may cost: the values in its answer, if every page were full."""

from collections.abc import Mapping
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
)

PAGE = "first"


def cost(
    schema: GraphQLSchema,
    operation: OperationDefinitionNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    variables: Mapping[str, Any],
) -> int:
    """Of a valid operation. A field counts one, and what is below a page as often as it is long."""
    given = _Given(operation, variables)

    def of(selections: SelectionSetNode, parent: GraphQLObjectType) -> int:
        total = 0
        for selection in selections.selections:
            if isinstance(selection, FieldNode):
                total += 1
                field = parent.fields.get(selection.name.value)
                if field and selection.selection_set:
                    below = get_named_type(field.type)
                    assert isinstance(below, GraphQLObjectType)  # noqa: S101  no others here
                    total += given.page(selection, field) * of(selection.selection_set, below)
            elif isinstance(selection, InlineFragmentNode):
                total += of(selection.selection_set, parent)
            else:
                assert isinstance(selection, FragmentSpreadNode)  # noqa: S101
                total += of(fragments[selection.name.value].selection_set, parent)
        return total

    root = schema.get_root_type(operation.operation)
    return of(operation.selection_set, root) if root else 0


class _Given:
    """Arguments as they will be, from literals, variables and defaults."""

    def __init__(self, operation: OperationDefinitionNode, variables: Mapping[str, Any]) -> None:
        self._variables = dict(variables)
        for definition in operation.variable_definitions or ():
            default = definition.default_value
            if isinstance(default, IntValueNode):
                self._variables.setdefault(definition.variable.name.value, int(default.value))

    def page(self, node: FieldNode, field: GraphQLField) -> int:
        if PAGE not in field.args:
            return 1
        length: Any = field.args[PAGE].default_value
        for argument in node.arguments or ():
            if argument.name.value != PAGE:
                continue
            if isinstance(argument.value, IntValueNode):
                length = int(argument.value.value)
            elif isinstance(argument.value, VariableNode):
                length = self._variables.get(argument.value.name.value, length)
        # What is no length is refused by the field itself.
        return length if isinstance(length, int) and length > 0 else 1
