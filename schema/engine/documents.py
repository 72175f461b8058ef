"""GraphQL documents: parsed, checked against the limits and validated once for each text."""

from collections import OrderedDict
from collections.abc import Collection, Mapping
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
from schema.engine.plan import Plan, conditional_variables
from schema.engine.trusted_documents import BadTrustedDocument

RULES = (*specified_rules, *DOCUMENT_RULES)
MAX_COMMENTS = 200
# Comparisons of fields with each other; takes about 20 ms.
limit_comparisons(40_000)

# Characters of text, of the whole cache and of one document. A document takes some two hundred
# times the memory of its text.
CACHE_CHARACTERS = 100_000
MAX_CACHED_CHARACTERS = 10_000

# Code of an error that has no code of its own.
BAD_DOCUMENT = "BAD_DOCUMENT"


class BadDocument(Exception):
    """The document can't be executed; `errors` has the reasons."""

    def __init__(self, *errors: GraphQLError) -> None:
        super().__init__("; ".join(error.message for error in errors))
        self.errors = errors

    @property
    def code(self) -> str:
        """The code of the first error."""
        return str((self.errors[0].extensions or {}).get("code", BAD_DOCUMENT))


def _with_code(error: GraphQLError) -> GraphQLError:
    """Add the code OVER_LIMIT to an error of graphql-core's own limits."""
    if not error.extensions and is_over_limit(error):
        error.extensions = {"code": "OVER_LIMIT"}
    return error


@dataclass(frozen=True, slots=True)
class Document:
    """A document that is valid and within the limits."""

    ast: DocumentNode
    plans: Mapping[str | None, Plan]

    @property
    def introspects(self) -> bool:
        """Whether any of its operations reads the schema."""
        return any(plan.introspects for plan in self.plans.values())

    def plan(self, name: str | None) -> Plan:
        """Return the plan of the only operation, or of the one with this name.

        Raises BadDocument if there is none.
        """
        if name is None and len(self.plans) == 1:
            return next(iter(self.plans.values()))
        if name is None:
            message = "Name one of its operations in `operationName`." if self.plans else ""
            raise BadDocument(GraphQLError(message or "The document has no operation."))
        found = self.plans.get(name)
        if found is None:
            raise BadDocument(
                _with_code(GraphQLError(f"The document has no operation named '{name[:100]}'."))
            )
        return found


class Documents:
    """A cache of checked documents, bounded by the length of their texts, and trusted ones."""

    def __init__(
        self,
        schema: GraphQLSchema,
        compiler: Compiler,
        limits: Limits,
        trusted: Mapping[str, str],
    ) -> None:
        """`trusted`: texts by id. Raises BadTrustedDocument if one is invalid."""
        self._schema = schema
        self._compiler = compiler
        self._limits = limits
        self._cached: OrderedDict[str, Document] = OrderedDict()
        self._characters = 0
        self.trusted_by_id = self.read_trusted(trusted)

    def read_trusted(self, texts: Mapping[str, str]) -> Mapping[str, Document]:
        """Return documents by id. Safe in another thread. Raises BadTrustedDocument."""
        # A document has several ids, its name first.
        names = {text: id for id, text in reversed(list(texts.items()))}
        by_text = {text: self._read_trusted(name, text) for text, name in names.items()}
        return {id: by_text[text] for id, text in texts.items()}

    def trusted(self, id: str) -> Document:
        """Raises BadDocument if there is no trusted document with this id."""
        document = self.trusted_by_id.get(id)
        if document is None:
            raise BadDocument(
                GraphQLError(
                    f"There is no trusted document '{id[:100]}'.",
                    extensions={"code": "DOCUMENT_NOT_FOUND"},
                )
            )
        return document

    def _read_trusted(self, id: str, text: str) -> Document:
        """Limits apply to documents of clients only."""
        try:
            document = self._validated(parse(text), (), suggest=True)
        except (GraphQLError, BadDocument) as error:
            raise BadTrustedDocument(f"Trusted document {id}: {error}") from None
        if len(document.plans) != 1:
            raise BadTrustedDocument(f"Trusted document {id}: write exactly one operation into it.")
        return document

    def cached(self, text: str) -> Document | None:
        document = self._cached.get(text)
        if document:
            self._cached.move_to_end(text)
        return document

    def read(self, text: str, *, suggest: bool) -> Document:
        """Parse and check a document, unless it is cached. May take some ten milliseconds.

        Safe in another thread. `suggest`: errors may suggest names of the schema.
        Raises BadDocument.
        """
        if document := self._cached.get(text):
            return document
        limits = self._limits
        try:
            ast = parse(
                text,
                max_lexical_tokens=limits.tokens,
                max_comments=MAX_COMMENTS,
                max_source_length=limits.source_length,
            )
            introspecting = check(ast, limits)
        except GraphQLError as error:
            raise BadDocument(_with_code(error)) from None
        except RecursionError:
            raise BadDocument(OverLimit("too many levels", limits.depth)) from None
        return self._validated(ast, introspecting, suggest=suggest)

    def _validated(
        self, ast: DocumentNode, introspecting: Collection[str | None], *, suggest: bool
    ) -> Document:
        limit = self._limits.errors
        errors = validate(self._schema, ast, RULES, max_errors=limit, hide_suggestions=not suggest)
        if errors:
            raise BadDocument(*map(_with_code, errors))
        fragments = {
            node.name.value: node
            for node in ast.definitions
            if isinstance(node, FragmentDefinitionNode)
        }
        used = [conditional_variables(fragment) for fragment in fragments.values()]
        in_fragments = set[str]().union(*used)
        plans = {
            node.name.value if node.name else None: Plan(
                self._schema, self._compiler, node, fragments, in_fragments
            )
            for node in ast.definitions
            if isinstance(node, OperationDefinitionNode)
        }
        for name in introspecting:
            plans[name].introspects = True
        return Document(ast, plans)

    def cache(self, text: str, document: Document) -> None:
        if len(text) > MAX_CACHED_CHARACTERS or text in self._cached:
            return
        self._cached[text] = document
        self._characters += len(text)
        while self._characters > CACHE_CHARACTERS:
            self._characters -= len(self._cached.popitem(last=False)[0])
