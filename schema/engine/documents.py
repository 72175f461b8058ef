"""GraphQL documents: parsed, held against the limits and validated once for each text."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    parse,
    specified_rules,
    validate,
)

from schema.compiler import Compiler
from schema.compiler.strawberry_internals import DOCUMENT_RULES
from schema.engine.graphql_core import is_over_limit, limit_comparisons
from schema.engine.limits import Limits, OverLimit, check
from schema.engine.plan import Plan
from schema.engine.trusted_documents import BadTrustedDocument

RULES = (*specified_rules, *DOCUMENT_RULES)
MAX_COMMENTS = 200
# About 20 ms of comparing fields with each other.
limit_comparisons(40_000)

# What is kept, in characters of text; a document takes some two hundred times its text's memory.
KEPT_CHARACTERS = 250_000
MAX_KEPT_CHARACTERS = 10_000

# The code of an error that names none.
BAD_DOCUMENT = "BAD_DOCUMENT"


class BadDocument(Exception):
    """It can't be executed; `errors` say why."""

    def __init__(self, *errors: GraphQLError) -> None:
        super().__init__("; ".join(error.message for error in errors))
        self.errors = errors

    @property
    def code(self) -> str:
        """Of its first error."""
        return str((self.errors[0].extensions or {}).get("code", BAD_DOCUMENT))


def _told(error: GraphQLError) -> GraphQLError:
    """With a code for graphql-core's own limits."""
    if not error.extensions and is_over_limit(error):
        error.extensions = {"code": "OVER_LIMIT"}
    return error


@dataclass(frozen=True, slots=True)
class Document:
    """Valid and within the limits."""

    ast: DocumentNode
    plans: Mapping[str | None, Plan]
    introspects: bool

    def plan(self, name: str | None) -> Plan:
        """Of the only operation, or the one of that name; raises BadDocument."""
        if name is None and len(self.plans) == 1:
            return next(iter(self.plans.values()))
        if name is None:
            what = "Name one of its operations in `operationName`." if self.plans else ""
            raise BadDocument(GraphQLError(what or "The document has no operation."))
        found = self.plans.get(name)
        if found is None:
            raise BadDocument(
                _told(GraphQLError(f"The document has no operation named '{name[:100]}'."))
            )
        return found


class Documents:
    """Those that came before are not looked at again, up to a bounded amount of text."""

    def __init__(
        self,
        schema: GraphQLSchema,
        compiler: Compiler,
        limits: Limits,
        trusted: Mapping[str, str],
    ) -> None:
        """`trusted`: texts by id. Raises BadTrustedDocument."""
        self._schema = schema
        self._compiler = compiler
        self._limits = limits
        self._kept: OrderedDict[str, Document] = OrderedDict()
        self._characters = 0
        # A document has several ids, its name first.
        names = {text: id for id, text in reversed(list(trusted.items()))}
        known = {text: self._trust(name, text) for text, name in names.items()}
        self._trusted = {id: known[text] for id, text in trusted.items()}

    @property
    def known(self) -> Mapping[str, Document]:
        """The trusted ones, by id."""
        return self._trusted

    def trusted(self, id: str) -> Document:
        """Raises BadDocument where there is none."""
        document = self._trusted.get(id)
        if document is None:
            raise BadDocument(
                GraphQLError(
                    f"There is no trusted document '{id[:100]}'.",
                    extensions={"code": "DOCUMENT_NOT_FOUND"},
                )
            )
        return document

    def _trust(self, id: str, text: str) -> Document:
        """Without limits, which are for what strangers send."""
        try:
            document = self._validated(parse(text), introspects=False, suggest=True)
        except (GraphQLError, BadDocument) as error:
            raise BadTrustedDocument(f"Trusted document {id}: {error}") from None
        if len(document.plans) != 1:
            raise BadTrustedDocument(f"Trusted document {id}: give it one operation.")
        document.plan(None).compile_eagerly()
        return document

    def get(self, text: str, *, suggest: bool) -> Document:
        """Raises BadDocument. `suggest`: errors may name what there is in the schema."""
        if document := self._kept.get(text):
            self._kept.move_to_end(text)
            return document
        document = self._read(text, suggest=suggest)
        if len(text) <= MAX_KEPT_CHARACTERS:
            self._keep(text, document)
        return document

    def _read(self, text: str, *, suggest: bool) -> Document:
        limits = self._limits
        try:
            ast = parse(
                text,
                max_lexical_tokens=limits.tokens,
                max_comments=MAX_COMMENTS,
                max_source_length=limits.source_length,
            )
            introspects = check(ast, limits)
        except GraphQLError as error:
            raise BadDocument(_told(error)) from None
        except RecursionError:
            raise BadDocument(OverLimit("too many levels", limits.depth)) from None
        return self._validated(ast, introspects=introspects, suggest=suggest)

    def _validated(self, ast: DocumentNode, *, introspects: bool, suggest: bool) -> Document:
        most = self._limits.errors
        errors = validate(self._schema, ast, RULES, max_errors=most, hide_suggestions=not suggest)
        if errors:
            raise BadDocument(*map(_told, errors))
        fragments = {
            node.name.value: node
            for node in ast.definitions
            if isinstance(node, FragmentDefinitionNode)
        }
        plans = {
            node.name.value if node.name else None: Plan(
                self._schema, self._compiler, node, fragments
            )
            for node in ast.definitions
            if isinstance(node, OperationDefinitionNode)
        }
        return Document(ast, plans, introspects)

    def _keep(self, text: str, document: Document) -> None:
        self._kept[text] = document
        self._characters += len(text)
        while self._characters > KEPT_CHARACTERS:
            self._characters -= len(self._kept.popitem(last=False)[0])
