"""Limits of a document, checked before it is validated and without executing it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sized
from dataclasses import dataclass, replace
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FloatValueNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    NameNode,
    Node,
    ObjectValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    StringValueNode,
)

# Digits of a number: more than any type of the schema takes; int() refuses thousands.
MAX_DIGITS = 100
MAX_REPEATS = 20
# Characters of a name or alias. Code generators use some hundred.
MAX_NAME = 200
# Characters of one text, in a document or in variables. No input takes more.
MAX_TEXT = 4_000
MAX_DEFINITIONS = 50
INTROSPECTION_ALIASES = 3
INTROSPECTION = frozenset({"__schema", "__type"})


@dataclass(frozen=True, slots=True)
class Limits:
    """Maximum size of one document. A fragment counts wherever it is spread.

    `source_length`: characters of the text. `fields`, `aliases` and `depth`: of one operation.
    `root_fields`: on its first level. `directives`: in the document. `list_items`: of each list,
    and fields of each object. `errors`: in one response. `cost`: values and rows of the result if
    every page is full.
    """

    source_length: int = 50_000
    tokens: int = 2_000
    depth: int = 16
    fields: int = 1_000
    aliases: int = 30
    root_fields: int = 20
    directives: int = 50
    list_items: int = 100
    errors: int = 20
    cost: int = 5_000


class OverLimit(GraphQLError):
    """The document exceeds a limit."""

    def __init__(self, what: str, allowed: int, where: str = "The document") -> None:
        super().__init__(
            f"{where} has {what}: {allowed} at most. Send a smaller one, or several requests.",
            extensions={"code": "OVER_LIMIT"},
        )


@dataclass(frozen=True, slots=True)
class Counts:
    depth: int = 0
    fields: int = 0
    aliases: int = 0
    root_fields: int = 0
    data_roots: int = 0
    introspects: bool = False


def check(document: DocumentNode, limits: Limits) -> set[str | None]:
    """Return the names of the operations that read the schema.

    Raises OverLimit if the document exceeds a limit, GraphQLError if it is malformed, such as a
    fragment that spreads itself.

    Linear in the size of the document: each fragment is counted once, however often it is spread.
    """
    _check_written(document, limits)
    counter = _Counter(document)
    introspecting: set[str | None] = set()
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            counts = counter.count(definition.selection_set)
            if definition.operation is OperationType.SUBSCRIPTION and counts.root_fields > 1:
                raise GraphQLError("Subscribe to one field in an operation.", definition)
        elif isinstance(definition, FragmentDefinitionNode):
            counts = counter.count(definition.selection_set)
            counts = replace(counts, root_fields=0, data_roots=0)
        else:
            continue
        _check_counts(counts, limits)
        if counts.introspects and isinstance(definition, OperationDefinitionNode):
            introspecting.add(definition.name.value if definition.name else None)
    return introspecting


def check_variables(variables: Mapping[str, Any], limits: Limits) -> None:
    """Raises OverLimit, which names the variable, if it has a text, list or object that is too
    long, at any depth.
    """
    for name, variable in variables.items():
        pending = [variable]
        while pending:
            value = pending.pop()
            if isinstance(value, str):
                _check_length(value, MAX_TEXT, "a text of too many characters", name)
            elif isinstance(value, list):
                _check_length(value, limits.list_items, "too many items in a list", name)
                pending.extend(value)
            elif isinstance(value, dict):
                _check_length(value, limits.list_items, "too many fields in an object", name)
                pending.extend(value)
                pending.extend(value.values())


def _check_length(value: Sized, allowed: int, what: str, variable: str) -> None:
    if len(value) > allowed:
        raise OverLimit(what, allowed, f"Variable ${variable[:MAX_NAME]}")


def _check_written(document: DocumentNode, limits: Limits) -> None:
    if len(document.definitions) > MAX_DEFINITIONS:
        raise OverLimit("too many operations and fragments", MAX_DEFINITIONS)
    directives = 0
    for node in _nodes(document):
        directives += len(getattr(node, "directives", None) or ())
        match node:
            case NameNode() if len(node.value) > MAX_NAME:
                raise OverLimit("a name of too many characters", MAX_NAME)
            case StringValueNode() if len(node.value) > MAX_TEXT:
                raise OverLimit("a text of too many characters", MAX_TEXT)
            case ListValueNode() if len(node.values) > limits.list_items:
                raise OverLimit("too many items in a list", limits.list_items)
            case ObjectValueNode() if len(node.fields) > limits.list_items:
                raise OverLimit("too many fields in an object", limits.list_items)
            case IntValueNode() | FloatValueNode() if len(node.value) > MAX_DIGITS:
                raise GraphQLError("This number has too many digits.", node)
    if directives > limits.directives:
        raise OverLimit("too many directives", limits.directives)


def _nodes(root: Node) -> Iterator[Node]:
    pending = [root]
    while pending:
        node = pending.pop()
        yield node
        for key in node.keys:
            value = getattr(node, key, None)
            if isinstance(value, Node):
                pending.append(value)
            elif isinstance(value, (list, tuple)):
                pending.extend(child for child in value if isinstance(child, Node))


def _check_counts(counts: Counts, limits: Limits) -> None:
    if counts.introspects and counts.data_roots:
        raise GraphQLError(
            "The operation reads the schema and data: send two requests.",
            extensions={"code": "OVER_LIMIT"},
        )
    # Each alias of a list in the schema costs as much as the list itself.
    aliases = min(limits.aliases, INTROSPECTION_ALIASES) if counts.introspects else limits.aliases
    for found, allowed, what in (
        (counts.depth, limits.depth, "too many levels"),
        (counts.fields, limits.fields, "too many fields"),
        (counts.aliases, aliases, "too many aliases"),
        (counts.root_fields, limits.root_fields, "too many fields on the first level"),
    ):
        if found > allowed:
            raise OverLimit(what, allowed)


def _check_repeats(selections: SelectionSetNode) -> None:
    """Fields with the same name are all compared with each other, and merged for every row."""
    names = Counter(
        (node.alias or node.name).value
        for node in selections.selections
        if isinstance(node, FieldNode)
    )
    if max(names.values(), default=0) > MAX_REPEATS:
        raise OverLimit("the same field too often in one place", MAX_REPEATS)


class _Counter:
    def __init__(self, document: DocumentNode) -> None:
        self._fragments = {
            definition.name.value: definition
            for definition in document.definitions
            if isinstance(definition, FragmentDefinitionNode)
        }
        self._counted: dict[str, Counts] = {}
        self._entered: set[str] = set()

    def count(self, selections: SelectionSetNode) -> Counts:
        depth = fields = aliases = roots = data_roots = 0
        introspects = False
        if not selections.selections:
            # graphql-core accepts and executes an empty selection.
            raise GraphQLError("Select at least one field.", selections)
        _check_repeats(selections)
        for selection in selections.selections:
            if isinstance(selection, FieldNode):
                below = self.count(selection.selection_set) if selection.selection_set else Counts()
                depth = max(depth, below.depth + 1)
                fields += below.fields + 1
                aliases += below.aliases + (selection.alias is not None)
                roots += 1
                data_roots += not selection.name.value.startswith("__")
                introspects = (
                    introspects or below.introspects or selection.name.value in INTROSPECTION
                )
                continue
            if isinstance(selection, InlineFragmentNode):
                inside = self.count(selection.selection_set)
            else:
                assert isinstance(selection, FragmentSpreadNode)  # noqa: S101
                inside = self._count_fragment(selection)
            depth = max(depth, inside.depth)
            fields += inside.fields
            aliases += inside.aliases
            roots += inside.root_fields
            data_roots += inside.data_roots
            introspects = introspects or inside.introspects
        return Counts(depth, fields, aliases, roots, data_roots, introspects)

    def _count_fragment(self, spread: FragmentSpreadNode) -> Counts:
        name = spread.name.value
        if name in self._counted:
            return self._counted[name]
        if name in self._entered:
            raise GraphQLError(f"Fragment '{name}' spreads itself.", spread)
        fragment = self._fragments.get(name)
        if fragment is None:
            return Counts()
        self._entered.add(name)
        counts = self._counted[name] = self.count(fragment.selection_set)
        return counts
