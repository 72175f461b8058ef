"""What is known of an operation of a valid document, and is made out once."""

from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    GraphQLSchema,
    OperationDefinitionNode,
    SelectionNode,
    VariableNode,
)
from graphql.language import DirectiveNode, Visitor, visit

from schema.compiler import Compiled, Compiler, Unsupported, Variables
from schema.compiler.inputs import has_variable
from schema.engine.cost import cost

# Each is compiled for each of its values.
MAX_CONDITIONS = 3
CONDITIONAL = frozenset({"skip", "include"})

Fragments = Mapping[str, FragmentDefinitionNode]


class Plan:
    """`type` and `label` of an operation, what it costs, and its compiled form."""

    def __init__(
        self,
        schema: GraphQLSchema,
        compiler: Compiler,
        node: OperationDefinitionNode,
        fragments: Fragments,
    ) -> None:
        self.node = node
        self.type = node.operation
        self.label = _label(node)
        self._schema = schema
        self._compiler = compiler
        self._fragments = fragments
        self._cost: int | None = None
        self._times = 0
        self._conditions: tuple[str, ...] | None = None
        self._compiled: dict[tuple[bool, ...], Compiled | None] = {}
        self._variables: Variables | None = None

    @cached_property
    def same_for_all(self) -> bool:
        """Whether what a subscription tells of an event depends on no variables."""
        asked: list[SelectionNode] = list(self.node.selection_set.selections)
        inside = [node.selection_set for node in asked if isinstance(node, FieldNode)]
        nodes = [*filter(None, inside), *self._fragments.values()]
        return len(inside) == len(asked) and not any(has_variable(node) for node in nodes)

    def cost(self, variables: Mapping[str, Any]) -> int:
        if self._cost is not None:
            return self._cost
        found, depends = cost(self._schema, self.node, self._fragments, variables)
        if not depends:
            self._cost = found
        return found

    def compile_eagerly(self) -> None:
        """It is compiled when it comes first: it was not made for one time only."""
        self._times = 1

    def compiled(self, variables: Mapping[str, Any]) -> Compiled | None:
        """From the second time on. None, too, for one that is left to graphql-core.

        `variables`: as the operation takes them.
        """
        self._times += 1
        if self._times <= 1:
            return None
        if self._conditions is None:
            self._conditions = _conditions(self.node, self._fragments)
        if len(self._conditions) > MAX_CONDITIONS:
            return None
        found = [variables.get(name) for name in self._conditions]
        values = tuple([value for value in found if isinstance(value, bool)])
        if len(values) < len(found):
            # Null, where the variable has a default: graphql-core refuses it.
            return None
        if values not in self._compiled:
            self._compiled[values] = self._compile(dict(zip(self._conditions, values, strict=True)))
        return self._compiled[values]

    @property
    def of_caller(self) -> Compiled | None:
        """Its compiled form, where that is one already, takes no variables and is `of_caller`."""
        if self.node.variable_definitions:
            return None
        compiled = self._compiled.get(())
        return compiled if compiled and compiled.of_caller else None

    def coerced(self, given: Mapping[str, Any]) -> dict[str, Any] | None:
        """The values of variables; None where graphql-core has to look at them. They are all that
        a compiled form with `plain_variables` needs.
        """
        return self._variables.coerced(given) if self._variables else None

    def _compile(self, conditions: Mapping[str, bool]) -> Compiled | None:
        try:
            compiled = self._compiler.compile(self.node, self._fragments, conditions)
        except Unsupported:
            return None
        with suppress(Unsupported):
            self._variables = Variables(self._schema, self.node.variable_definitions or ())
        return compiled


def _label(operation: OperationDefinitionNode) -> str:
    """What an operation is, in few words of the schema: `query devices`."""
    first = operation.selection_set.selections[0]
    name = first.name.value if isinstance(first, FieldNode) else "fragment"
    return f"{operation.operation.value} {name}"


def _conditions(node: OperationDefinitionNode, fragments: Fragments) -> tuple[str, ...]:
    """The operation's own variables that decide what is selected."""
    own = {each.variable.name.value for each in node.variable_definitions or ()}
    names: set[str] = set()

    class Look(Visitor):
        def enter_directive(self, directive: DirectiveNode, *_: object) -> None:
            if directive.name.value in CONDITIONAL:
                for argument in directive.arguments or ():
                    if isinstance(argument.value, VariableNode):
                        names.add(argument.value.name.value)

    for root in (node, *fragments.values()):
        visit(root, Look())
    return tuple(sorted(names & own))
