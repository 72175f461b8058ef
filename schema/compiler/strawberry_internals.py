"""Undocumented names of strawberry that the schema's compiler and engine use.

No other file imports them. tests/contracts/graphql/test_strawberry.py asserts the behaviour that
is relied on.
"""

from collections.abc import Callable
from typing import Any

import strawberry
from graphql import GraphQLLeafType, GraphQLSchema
from strawberry.extensions.field_extension import build_field_extension_resolvers
from strawberry.schema.config import StrawberryConfig  # noqa: TID251
from strawberry.schema.schema import (  # noqa: TID251
    StrawberryGraphQLCoreExecutionContext as ExecutionContext,
)
from strawberry.schema.schema_converter import (  # noqa: TID251
    CustomGraphQLEnumType,
    GraphQLCoreConverter,
)
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule  # noqa: TID251
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule  # noqa: TID251
from strawberry.types import Info
from strawberry.types.arguments import StrawberryArgument, convert_arguments  # noqa: TID251
from strawberry.types.base import StrawberryList, StrawberryMaybe, StrawberryOptional  # noqa: TID251
from strawberry.types.field import StrawberryField  # noqa: TID251
from strawberry.types.fields.resolver import StrawberryResolver  # noqa: TID251
from strawberry.types.lazy_type import LazyType  # noqa: TID251

# Key in the extensions of a GraphQL type or field: strawberry's definition of it.
DEFINITION = GraphQLCoreConverter.DEFINITION_BACKREF
DOCUMENT_RULES = (MaybeNullValidationRule, OneOfInputValidationRule)


def core_schema(schema: strawberry.Schema) -> GraphQLSchema:
    return schema._schema  # noqa: SLF001


def has_exception_handlers(converter: GraphQLCoreConverter, field: StrawberryField) -> bool:
    return bool(converter._get_field_exception_handlers(field))  # noqa: SLF001


def resolver_function(resolver: StrawberryResolver[Any]) -> Callable[..., Any]:
    """Return the function as it was written, not bound to anything."""
    return resolver._unbound_wrapped_func  # noqa: SLF001


def enum_class(type: GraphQLLeafType) -> Any:
    """Return the Python class of an enum of the schema; None for other types."""
    return type.wrapped_cls if isinstance(type, CustomGraphQLEnumType) else None


def info_of(run: Any, field: StrawberryField) -> Info:
    """Return an `Info` with `run.context` as its context and no other parts of a request."""
    return Info(_raw_info=run, _field=field)


__all__ = [
    "DEFINITION",
    "DOCUMENT_RULES",
    "ExecutionContext",
    "GraphQLCoreConverter",
    "Info",
    "LazyType",
    "StrawberryArgument",
    "StrawberryConfig",
    "StrawberryField",
    "StrawberryList",
    "StrawberryMaybe",
    "StrawberryOptional",
    "StrawberryResolver",
    "build_field_extension_resolvers",
    "convert_arguments",
    "core_schema",
    "enum_class",
    "has_exception_handlers",
    "info_of",
    "resolver_function",
]
