"""The plan of an operation: its cost and compiled form, computed once for each document."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from functools import cached_property
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    GraphQLSchema,
    Node,
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
# Values of the variables in `@skip` and `@include`, in the order of their names.
Conditions = tuple[bool, ...]


class Plan:
    """Type, label, cost and compiled form of an operation in a valid document.

    `introspects`: it reads the schema.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        compiler: Compiler,
        node: OperationDefinitionNode,
        fragments: Fragments,
        in_fragments: Collection[str],
    ) -> None:
        """`in_fragments`: names of the conditional variables that the fragments use."""
        self.node = node
        self.type = node.operation
        self.label = _label(node)
        self._schema = schema
        self._compiler = compiler
        self._fragments = fragments
        self.introspects = False
        self._cost: int | None = None
        self._conditions = _declared(node, {*conditional_variables(node), *in_fragments})
        self._compiled: dict[Conditions, Compiled | None] = {}
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

    def conditions(self, variables: Mapping[str, Any]) -> Conditions | None:
        """Return the values of the variables in `@skip` and `@include`.

        None if graphql-core has to execute the operation. `variables`: coerced values.
        """
        if len(self._conditions) > MAX_CONDITIONS:
            return None
        raw = [variables.get(name) for name in self._conditions]
        values = tuple([value for value in raw if isinstance(value, bool)])
        # Null for a variable with a default: graphql-core refuses it.
        return values if len(values) == len(raw) else None

    def is_compiled(self, conditions: Conditions) -> bool:
        return conditions in self._compiled

    def compiled(self, conditions: Conditions) -> Compiled | None:
        """Return the compiled form, or None if graphql-core has to execute the operation.

        `compile` has to be called once before.
        """
        return self._compiled[conditions]

    def compile(self, conditions: Conditions = ()) -> None:
        """Compile for these values. This may take some ten milliseconds."""
        named = dict(zip(self._conditions, conditions, strict=True))
        self._compiled[conditions] = self._compile(named)

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


def conditional_variables(root: Node) -> set[str]:
    """Return the variables that `@skip` and `@include` use."""
    names: set[str] = set()

    class ConditionFinder(Visitor):
        def enter_directive(self, directive: DirectiveNode, *_: object) -> None:
            if directive.name.value in CONDITIONAL:
                for argument in directive.arguments or ():
                    if isinstance(argument.value, VariableNode):
                        names.add(argument.value.name.value)

    visit(root, ConditionFinder())
    return names


def _declared(operation: OperationDefinitionNode, names: Collection[str]) -> tuple[str, ...]:
    declared = {each.variable.name.value for each in operation.variable_definitions or ()}
    return tuple(sorted(declared.intersection(names)))
