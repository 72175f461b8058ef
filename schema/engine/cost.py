"""Cost of an operation: the values and rows of its result if every page is full."""

from collections.abc import Mapping
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLNamedType,
    GraphQLSchema,
    GraphQLUnionType,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
)

from schema.common.metadata import COST, READ, WRITE
from schema.compiler.strawberry_internals import DEFINITION

PAGE = "first"
# Cost of each row, in values of a result.
ROW = 3


def cost(
    schema: GraphQLSchema,
    operation: OperationDefinitionNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    variables: Mapping[str, Any],
) -> tuple[int, bool]:
    """Return the cost of a valid operation, and whether it depends on the variables.

    A field counts one; a root field counts as a database read or a mutation. A page counts each of
    its rows, and the fields below it once for each row. One unit is some 8 microseconds of a core.
    """
    pages = _PageSizes(operation, variables)

    def total(selections: SelectionSetNode, parent: GraphQLNamedType) -> int:
        return sum(cost_of(selection, parent) for selection in selections.selections)

    def cost_of(selection: SelectionNode, parent: GraphQLNamedType) -> int:
        if isinstance(selection, FragmentSpreadNode):
            selection = fragments[selection.name.value]  # type: ignore[assignment]
        if isinstance(selection, (InlineFragmentNode, FragmentDefinitionNode)):
            on = selection.type_condition
            return total(selection.selection_set, schema.type_map[on.name.value] if on else parent)
        assert isinstance(selection, FieldNode)  # noqa: S101  there are no other kinds
        fields = {} if isinstance(parent, GraphQLUnionType) else parent.fields  # type: ignore[attr-defined]
        field = fields.get(selection.name.value)
        if field is None:
            return 1
        field_cost = root_cost if parent is root else _field_cost(field)
        if selection.selection_set is None:
            return field_cost
        below = get_named_type(field.type)
        rows = pages.rows(selection, field)
        values = total(selection.selection_set, below)
        return field_cost + (values if rows is None else rows * (ROW + values))

    root_cost = WRITE if operation.operation is OperationType.MUTATION else READ
    root = schema.get_root_type(operation.operation)
    result = total(operation.selection_set, root) if root else 0
    return result, pages.variables_used


def _field_cost(field: GraphQLField) -> int:
    """1, or the number in the schema's `metadata={COST: 8}`."""
    definition = field.extensions.get(DEFINITION)
    return int(definition.metadata.get(COST, 1)) if definition else 1


class _PageSizes:
    """Page lengths from literals, variables and defaults. `variables_used`: from a variable."""

    def __init__(self, operation: OperationDefinitionNode, variables: Mapping[str, Any]) -> None:
        self.variables_used = False
        self._variables = dict(variables)
        for definition in operation.variable_definitions or ():
            default = definition.default_value
            if isinstance(default, IntValueNode):
                self._variables.setdefault(definition.variable.name.value, int(default.value))

    def rows(self, node: FieldNode, field: GraphQLField) -> int | None:
        """The length of a page; None if the field has no pages."""
        if PAGE not in field.args:
            return None
        length: Any = field.args[PAGE].default_value
        for argument in node.arguments or ():
            if argument.name.value != PAGE:
                continue
            if isinstance(argument.value, IntValueNode):
                length = int(argument.value.value)
            elif isinstance(argument.value, VariableNode):
                self.variables_used = True
                length = self._variables.get(argument.value.name.value, length)
        # The field itself refuses an invalid length.
        return length if isinstance(length, int) and length > 0 else 1
