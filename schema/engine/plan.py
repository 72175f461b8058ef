"""The plan of an operation: its cost and compiled form, computed once for each document."""

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

# Conditional variables: the operation is compiled for each combination of their values.
MAX_CONDITIONS = 3
CONDITIONAL = frozenset({"skip", "include"})

Fragments = Mapping[str, FragmentDefinitionNode]


class Plan:
    """Type, label, cost and compiled form of an operation in a valid document."""

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
        """Whether a subscription's result for an event does not depend on variables."""
        roots: list[SelectionNode] = list(self.node.selection_set.selections)
        inside = [node.selection_set for node in roots if isinstance(node, FieldNode)]
        nodes = [*filter(None, inside), *self._fragments.values()]
        return len(inside) == len(roots) and not any(has_variable(node) for node in nodes)

    def cost(self, variables: Mapping[str, Any]) -> int:
        if self._cost is not None:
            return self._cost
        value, depends = cost(self._schema, self.node, self._fragments, variables)
        if not depends:
            self._cost = value
        return value

    def compile_eagerly(self) -> None:
        """Compile at the first use: the operation will be used again."""
        self._times = 1

    def compiled(self, variables: Mapping[str, Any]) -> Compiled | None:
        """Return the compiled form. None at the first use, or if graphql-core has to execute it.

        `variables`: coerced values.
        """
        self._times += 1
        if self._times <= 1:
            return None
        if self._conditions is None:
            self._conditions = _conditions(self.node, self._fragments)
        if len(self._conditions) > MAX_CONDITIONS:
            return None
        raw = [variables.get(name) for name in self._conditions]
        values = tuple([value for value in raw if isinstance(value, bool)])
        if len(values) < len(raw):
            # Null for a variable with a default: graphql-core refuses it.
            return None
        if values not in self._compiled:
            self._compiled[values] = self._compile(dict(zip(self._conditions, values, strict=True)))
        return self._compiled[values]

    @property
    def caller_only(self) -> Compiled | None:
        """The compiled form if it exists, takes no variables and is `caller_only`; else None."""
        if self.node.variable_definitions:
            return None
        compiled = self._compiled.get(())
        return compiled if compiled and compiled.caller_only else None

    def coerced(self, raw: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return coerced variables; None if graphql-core has to check them.

        A compiled form with `plain_variables` needs no more than these.
        """
        return self._variables.coerced(raw) if self._variables else None

    def _compile(self, conditions: Mapping[str, bool]) -> Compiled | None:
        try:
            compiled = self._compiler.compile(self.node, self._fragments, conditions)
        except Unsupported:
            return None
        with suppress(Unsupported):
            self._variables = Variables(self._schema, self.node.variable_definitions or ())
        return compiled


def _label(operation: OperationDefinitionNode) -> str:
    """A short label from names of the schema, such as `query devices`."""
    first = operation.selection_set.selections[0]
    name = first.name.value if isinstance(first, FieldNode) else "fragment"
    return f"{operation.operation.value} {name}"


def _conditions(node: OperationDefinitionNode, fragments: Fragments) -> tuple[str, ...]:
    """The operation's variables that `@skip` and `@include` use."""
    declared = {each.variable.name.value for each in node.variable_definitions or ()}
    names: set[str] = set()

    class ConditionFinder(Visitor):
        def enter_directive(self, directive: DirectiveNode, *_: object) -> None:
            if directive.name.value in CONDITIONAL:
                for argument in directive.arguments or ():
                    if isinstance(argument.value, VariableNode):
                        names.add(argument.value.name.value)

    for root in (node, *fragments.values()):
        visit(root, ConditionFinder())
    return tuple(sorted(names & declared))
