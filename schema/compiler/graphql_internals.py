"""What the schema's compiler uses of graphql-core beside its documented names.

No other file does, and tests/contracts/test_graphql_core.py asserts what is relied on. The engine's
part of graphql-core is `schema/engine/graphql_core.py`.
"""

from graphql.execution.collect_fields import (  # noqa: TID251
    FieldDetailsList,
    FragmentDetails,
    GroupedFieldSet,
    collect_fields,
    collect_subfields,
)
from graphql.utilities.coerce_input_value import coerce_default_value

__all__ = [
    "FieldDetailsList",
    "FragmentDetails",
    "GroupedFieldSet",
    "coerce_default_value",
    "collect_fields",
    "collect_subfields",
]
