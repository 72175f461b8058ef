"""The executable schema, and its text."""

import strawberry

from schema.mutation import Mutation
from schema.query import Query
from schema.subscription import Subscription


class Schema(strawberry.Schema):
    def process_errors(self, *_: object) -> None:
        """Whoever answers the request logs what has to be logged."""


def build_schema() -> Schema:
    return Schema(query=Query, mutation=Mutation, subscription=Subscription)


def schema_text() -> str:
    return build_schema().as_str() + "\n"
