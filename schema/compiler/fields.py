"""How the value of a field is got, as strawberry would get it."""

from collections.abc import Callable
from functools import partial, reduce
from typing import Any

import strawberry
from graphql import FieldNode, GraphQLField, VariableValues, get_argument_values
from strawberry.extensions import FieldExtension

from schema.common.metadata import OF_CALLER
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
    """Of one schema."""

    def __init__(self, schema: strawberry.Schema) -> None:
        self._converter = schema.schema_converter
        self._default = schema.config.default_resolver

    def value(self, source: Source, field: GraphQLField, node: FieldNode) -> tuple[str, bool]:
        """An expression for the raw value, of the object `o` in the run `q`; and whether it has to
        be awaited. Raises Unsupported.
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

    def is_of_caller(self, field: GraphQLField) -> bool:
        """See `Root.of_caller`."""
        definition = field.extensions.get(DEFINITION)
        return isinstance(definition, StrawberryField) and OF_CALLER in definition.metadata

    def _attribute(self, source: Source, definition: StrawberryField) -> str:
        if self._default is getattr and definition.python_name.isidentifier():
            return f"o.{definition.python_name}"
        default = source.constant("f", self._default)
        return f"{default}(o, {definition.python_name!r})"

    def _call(self, definition: StrawberryField) -> tuple[Callable[..., Any], bool]:
        """A function of the source, info where it is wanted, and keywords."""
        resolver = definition.base_resolver
        extensions = build_field_extension_resolvers(definition)
        for extension in definition.extensions:
            if type(extension).map_arguments is not FieldExtension.map_arguments:
                raise Unsupported("an extension that changes arguments")
        if resolver is None:
            raise Unsupported("an extension without a resolver")
        if not extensions:
            return _direct(resolver)
        innermost, takes_info = _direct(resolver)

        def last(o: Any, info: Any, **keywords: Any) -> Any:
            return innermost(o, info, **keywords) if takes_info else innermost(o, **keywords)

        return reduce(
            lambda chained, extension: partial(extension, chained), extensions, last
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
            known = Arguments(field, node, definition.arguments, self._converter.config)
        except Unsupported:
            source.plain_variables = False
            return [f"**{source.constant('k', converted)}(q.variables)"]

        def keywords(variables: VariableValues) -> dict[str, Any]:
            try:
                return known.keywords(variables.coerced)
            except Exception:  # noqa: BLE001  graphql-core says what is wrong
                return converted(variables)

        return [f"**{source.constant('k', keywords)}(q.variables)"]


def _direct(resolver: StrawberryResolver[Any]) -> tuple[Callable[..., Any], bool]:
    """As `_call`. The plain function itself where it takes its arguments in that order."""
    info = resolver.info_parameter
    source = resolver.self_parameter
    if resolver.parent_parameter or resolver.root_parameter:
        raise Unsupported("a resolver with a parent or root parameter")
    function = resolver_function(resolver)
    if not callable(function):
        raise Unsupported("a resolver that is no function")
    if source and info is None:
        return function, False
    if source and info:
        name = info.name
        return (lambda o, i, **keywords: function(o, **{name: i}, **keywords)), True
    if info:
        name = info.name
        return (lambda _, i, **keywords: function(**{name: i}, **keywords)), True
    return (lambda _, **keywords: function(**keywords)), False
