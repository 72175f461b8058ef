"""Generates code for the value of a field, which gets it as strawberry does."""

from collections.abc import Callable
from functools import partial, reduce
from typing import Any

import strawberry
from graphql import FieldNode, GraphQLField, VariableValues, get_argument_values
from strawberry.extensions import FieldExtension

from schema.common.metadata import CALLER_ONLY
from schema.compiler.codegen import Source, Unsupported
from schema.compiler.inputs import Arguments, has_variable
from schema.compiler.strawberry_internals import (
    DEFINITION,
    StrawberryField,
    StrawberryResolver,
    build_field_extension_resolvers,
    convert_arguments,
    has_exception_handlers,
    resolver_function,
)

NOTHING = VariableValues({}, {})


class Fields:
    """Generates code for the fields of one schema."""

    def __init__(self, schema: strawberry.Schema) -> None:
        self._converter = schema.schema_converter
        self._default = schema.config.default_resolver

    def value(self, source: Source, field: GraphQLField, node: FieldNode) -> tuple[str, bool]:
        """Return an expression for the raw value, and whether it must be awaited.

        In the expression, `o` is the object and `q` the run. Raises Unsupported if the field can't
        be compiled.
        """
        definition = field.extensions.get(DEFINITION)
        if not isinstance(definition, StrawberryField):
            raise Unsupported("a field of unknown origin")
        if has_exception_handlers(self._converter, definition):
            raise Unsupported("a field with exception handlers")
        if definition.is_basic_field:
            return self._attribute(source, definition), False
        call, takes_info = self._call(definition)
        arguments = ["o"]
        if takes_info:
            arguments.append(f"q.info({source.constant('d', definition)})")
        keywords = self._keywords(source, definition, field, node)
        return (
            f"{source.constant('f', call)}({', '.join([*arguments, *keywords])})",
            definition.is_async,
        )

    def is_caller_only(self, field: GraphQLField) -> bool:
        """Whether the field is marked CALLER_ONLY; see `Root.caller_only`."""
        definition = field.extensions.get(DEFINITION)
        return isinstance(definition, StrawberryField) and CALLER_ONLY in definition.metadata

    def _attribute(self, source: Source, definition: StrawberryField) -> str:
        if self._default is getattr and definition.python_name.isidentifier():
            return f"o.{definition.python_name}"
        default = source.constant("f", self._default)
        return f"{default}(o, {definition.python_name!r})"

    def _call(self, definition: StrawberryField) -> tuple[Callable[..., Any], bool]:
        """Return a function of the source, info and keywords, and whether it takes info."""
        resolver = definition.base_resolver
        extensions = build_field_extension_resolvers(definition)
        for extension in definition.extensions:
            if type(extension).map_arguments is not FieldExtension.map_arguments:
                raise Unsupported("an extension that changes arguments")
        if resolver is None:
            raise Unsupported("an extension without a resolver")
        if not extensions:
            return _direct(resolver)
        function, takes_info = _direct(resolver)

        def innermost(o: Any, info: Any, **keywords: Any) -> Any:
            return function(o, info, **keywords) if takes_info else function(o, **keywords)

        return reduce(
            lambda chained, extension: partial(extension, chained), extensions, innermost
        ), True

    def _keywords(
        self, source: Source, definition: StrawberryField, field: GraphQLField, node: FieldNode
    ) -> list[str]:
        if not definition.arguments:
            return []

        def converted(variables: VariableValues) -> dict[str, Any]:
            return convert_arguments(
                get_argument_values(field, node, variables),
                definition.arguments,
                scalar_registry=self._converter.scalar_registry,
                config=self._converter.config,
            )

        if not any(has_variable(argument.value) for argument in node.arguments or ()):
            return [
                f"{name}={source.constant('k', value)}"
                for name, value in converted(NOTHING).items()
            ]
        try:
            fast = Arguments(field, node, definition.arguments, self._converter.config)
        except Unsupported:
            source.plain_variables = False
            return [f"**{source.constant('k', converted)}(q.variables)"]

        def keywords(variables: VariableValues) -> dict[str, Any]:
            try:
                return fast.keywords(variables.coerced)
            except Exception:  # noqa: BLE001  graphql-core reports the error
                return converted(variables)

        return [f"**{source.constant('k', keywords)}(q.variables)"]


def _direct(resolver: StrawberryResolver[Any]) -> tuple[Callable[..., Any], bool]:
    """As `_call`; the resolver's function itself if its parameters have this order."""
    info = resolver.info_parameter
    source = resolver.self_parameter
    if resolver.parent_parameter or resolver.root_parameter:
        raise Unsupported("a resolver with a parent or root parameter")
    function = resolver_function(resolver)
    if not callable(function):
        raise Unsupported("a resolver that is not a function")
    if source and info is None:
        return function, False
    if source and info:
        name = info.name
        return (lambda o, i, **keywords: function(o, **{name: i}, **keywords)), True
    if info:
        name = info.name
        return (lambda _, i, **keywords: function(**{name: i}, **keywords)), True
    return (lambda _, **keywords: function(**keywords)), False
