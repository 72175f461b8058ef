"""The executable schema, and its text."""

import strawberry

from schema.mutation import Mutation
from schema.query import Query


class Schema(strawberry.Schema):
    def process_errors(self, *_: object) -> None:
        """Whoever answers the request logs what has to be logged."""


def build_schema() -> Schema:
    return Schema(query=Query, mutation=Mutation)


def schema_text() -> str:
    return build_schema().as_str() + "\n"
