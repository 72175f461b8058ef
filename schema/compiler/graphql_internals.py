"""Undocumented names of graphql-core that the schema's compiler uses.

No other file of the compiler imports them. tests/contracts/graphql/test_graphql_core.py asserts the
behaviour that is relied on. Those that the engine uses are in `schema/engine/graphql_core.py`.
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
