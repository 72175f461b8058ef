"""The executable schema and its text in the GraphQL schema language."""

import strawberry

from schema.mutation import Mutation
from schema.query import Query
from schema.subscription import Subscription


class Schema(strawberry.Schema):
    def process_errors(self, *_: object) -> None:
        """No-op: the transport that sends the response logs its errors."""


def build_schema() -> Schema:
    return Schema(query=Query, mutation=Mutation, subscription=Subscription)


def schema_text() -> str:
    return build_schema().as_str() + "\n"
