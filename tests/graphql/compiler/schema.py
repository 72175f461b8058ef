"""A schema that uses all features of GraphQL, with resolvers that sometimes fail.

Each object is a seed. The result of a field depends only on the seed and the name of the field, so
two executions give the same in any order. Some results are invalid: null for a non-null field, an
exception, or a value of a wrong type.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import UTC, datetime
from enum import Enum
from typing import Annotated, Any

import strawberry
from strawberry.extensions.field_extension import FieldExtension
from strawberry.scalars import JSON

from domain.errors import InputError

calls = Counter[str]()


@strawberry.enum
class Color(Enum):
    RED = "r"
    GREEN = 2


class Upper(FieldExtension):
    async def resolve_async(
        self, next_: Callable[..., Awaitable[Any]], source: Any, info: Any, **kwargs: Any
    ) -> Any:
        return (await next_(source, info, **kwargs)).upper()


def generator(seed: int, name: str) -> random.Random:
    return random.Random(f"{seed}/{name}")


def maybe(seed: int, name: str, value: Any, wrong: Any = None) -> Any:
    """Return the value in 94 % of cases; else an error, None or `wrong`."""
    roll = generator(seed, name).random()
    if roll < 0.01:
        raise InputError.at(name, f"{name} of {seed} fails.")
    if roll < 0.02:
        return InputError.at(name, f"{name} of {seed} is an error.")
    if roll < 0.05:
        return None
    return wrong if roll < 0.06 else value


@strawberry.input
class Wish:
    text: str
    number: int = 3
    color: Color | None = None
    deeper: "Wish | None" = None
    numbers: list[int] | None = None


@strawberry.interface
class Named:
    seed: strawberry.Private[int]

    @strawberry.field
    def name(self) -> str:
        return maybe(self.seed, "name", f"näme {self.seed}", 7)


@strawberry.type
class Leaf:
    seed: strawberry.Private[int]
    label: str
    weight: float | None

    @strawberry.field
    async def slow(self) -> int:
        await asyncio.sleep(0)
        return maybe(self.seed, "slow", self.seed, "x")


@strawberry.type
class Plant(Named):
    @strawberry.field
    def color(self) -> Color | None:
        return maybe(self.seed, "color", list(Color)[self.seed % 2], "no color")

    @strawberry.field
    def leaves(self) -> list[Leaf]:
        return [leaf(self.seed * 3 + n) for n in range(self.seed % 4)]


@strawberry.type
class Animal(Named):
    @strawberry.field
    async def legs(self, times: int = 1) -> int | None:
        return maybe(self.seed, "legs", 4 * times, 2**40)

    @strawberry.field
    def born(self) -> datetime:
        return maybe(self.seed, "born", datetime(2026, 1, 1 + self.seed % 28, tzinfo=UTC), 5)

    @strawberry.field
    def plain(self) -> bool:
        return maybe(self.seed, "plain", self.seed % 2 == 0, 1)


Being = Annotated[Plant | Animal, strawberry.union("Being")]


def being(seed: int) -> Any:
    return (Plant if seed % 2 else Animal)(seed=seed)


def leaf(seed: int) -> Leaf:
    return Leaf(
        seed=seed,
        label=maybe(seed, "label", f"l{seed}", 8.5),
        weight=maybe(seed, "weight", seed / 3, float("nan")),
    )


@strawberry.type
class Garden:
    seed: strawberry.Private[int]

    @strawberry.field
    def beings(self, first: int = 3) -> list[Being]:
        return maybe(self.seed, "beings", [being(self.seed + n) for n in range(min(first, 3))], 3)

    @strawberry.field
    async def named(self) -> list[Named | None] | None:
        return maybe(self.seed, "named", [being(self.seed + n) for n in range(2)] + [None], "text")

    @strawberry.field
    def matrix(self) -> list[list[int | None]]:
        return [[maybe(self.seed + n, "matrix", n * m) for m in range(3)] for n in range(2)]

    @strawberry.field
    def wished(self, wish: Wish, color: Color = Color.RED) -> str:
        return f"{wish} {color}"

    @strawberry.field(extensions=[Upper()])
    async def loud(self, text: str) -> str | None:
        return maybe(self.seed, "loud", text + str(self.seed), 9)

    @strawberry.field
    def anything(self) -> JSON | None:
        return maybe(self.seed, "anything", {"a": [1, None, "é"], "seed": self.seed})

    @strawberry.field
    def next(self) -> "Garden":
        return maybe(self.seed, "next", Garden(seed=self.seed + 1))

    @strawberry.field
    async def maybe_next(self) -> "Garden | None":
        await asyncio.sleep(0)
        return maybe(self.seed, "maybe_next", Garden(seed=self.seed + 2))

    @strawberry.field
    def id(self) -> strawberry.ID:
        return maybe(self.seed, "id", strawberry.ID(str(self.seed)), 12)


Info = strawberry.Info[int, None]


@strawberry.type
class Query:
    @strawberry.field
    def garden(self, info: Info, number: int = 0) -> Garden:
        calls["garden"] += 1
        return maybe(info.context + number, "garden", Garden(seed=info.context + number))

    @strawberry.field
    async def later(self, info: Info) -> Garden | None:
        calls["later"] += 1
        await asyncio.sleep(0)
        return maybe(info.context, "later", Garden(seed=info.context))

    @strawberry.field
    def being(self, info: Info) -> Being | None:
        return maybe(info.context, "being", being(info.context))

    @strawberry.field
    def leaf(self, info: Info) -> Leaf:
        return leaf(info.context)


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def plant(self, info: Info, wish: Wish) -> Garden:
        calls["plant"] += 1
        return maybe(info.context + wish.number, "plant", Garden(seed=info.context + wish.number))

    @strawberry.mutation
    def count(self, info: Info) -> int | None:
        calls["count"] += 1
        return maybe(info.context, "count", info.context)


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def grown(self, info: Info, number: int = 0) -> AsyncGenerator[Garden]:
        for step in range(4):
            yield Garden(seed=info.context + number + step)
