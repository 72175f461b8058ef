"""What an operation may cost: the values and rows of its answer, if every page were full."""

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
# What each row takes, in values of an answer.
ROW = 3


def cost(
    schema: GraphQLSchema,
    operation: OperationDefinitionNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    variables: Mapping[str, Any],
) -> tuple[int, bool]:
    """Of a valid operation, and whether that depends on the variables.

    A field counts one, and on the first level as much as a read or a change; a page counts its
    rows, and what is below it as often as it is long. One unit is some 8 microseconds of one core.
    """
    given = _Given(operation, variables)

    def of(selections: SelectionSetNode, parent: GraphQLNamedType) -> int:
        return sum(of_one(selection, parent) for selection in selections.selections)

    def of_one(selection: SelectionNode, parent: GraphQLNamedType) -> int:
        if isinstance(selection, FragmentSpreadNode):
            selection = fragments[selection.name.value]  # type: ignore[assignment]
        if isinstance(selection, (InlineFragmentNode, FragmentDefinitionNode)):
            on = selection.type_condition
            return of(selection.selection_set, schema.type_map[on.name.value] if on else parent)
        assert isinstance(selection, FieldNode)  # noqa: S101  there is nothing else
        fields = {} if isinstance(parent, GraphQLUnionType) else parent.fields  # type: ignore[attr-defined]
        field = fields.get(selection.name.value)
        if field is None:
            return 1
        own = first if parent is root else _own(field)
        if selection.selection_set is None:
            return own
        below = get_named_type(field.type)
        rows = given.rows(selection, field)
        values = of(selection.selection_set, below)
        return own + (values if rows is None else rows * (ROW + values))

    first = WRITE if operation.operation is OperationType.MUTATION else READ
    root = schema.get_root_type(operation.operation)
    found = of(operation.selection_set, root) if root else 0
    return found, given.asked


def _own(field: GraphQLField) -> int:
    """1, or what the schema says: `metadata={COST: 8}`."""
    definition = field.extensions.get(DEFINITION)
    return int(definition.metadata.get(COST, 1)) if definition else 1


class _Given:
    """Arguments as they will be, from literals, variables and defaults. `asked`: a variable was."""

    def __init__(self, operation: OperationDefinitionNode, variables: Mapping[str, Any]) -> None:
        self.asked = False
        self._variables = dict(variables)
        for definition in operation.variable_definitions or ():
            default = definition.default_value
            if isinstance(default, IntValueNode):
                self._variables.setdefault(definition.variable.name.value, int(default.value))

    def rows(self, node: FieldNode, field: GraphQLField) -> int | None:
        """The length of a page; None for a field that has none."""
        if PAGE not in field.args:
            return None
        length: Any = field.args[PAGE].default_value
        for argument in node.arguments or ():
            if argument.name.value != PAGE:
                continue
            if isinstance(argument.value, IntValueNode):
                length = int(argument.value.value)
            elif isinstance(argument.value, VariableNode):
                self.asked = True
                length = self._variables.get(argument.value.name.value, length)
        # What is no length is refused by the field itself.
        return length if isinstance(length, int) and length > 0 else 1
