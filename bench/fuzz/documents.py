"""GraphQL documents and requests that are large, deep, wide or repetitive."""

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

from graphql import (
    GraphQLInputObjectType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
    is_leaf_type,
    is_list_type,
)

from bench.fuzz import shapes
from schema.build import build_schema
from schema.compiler.strawberry_internals import core_schema

OPERATIONS = ("query", "mutation", "subscription")


class Documents:
    """Documents by the schema, most of them valid in some parts."""

    def __init__(self, choose: random.Random) -> None:
        self.choose = choose
        self.schema = SCHEMA
        self.variables: dict[str, tuple[str, Any]] = {}

    def request(self) -> dict[str, Any]:
        """Return the parameters of a request."""
        document = self.document()
        parameters: dict[str, Any] = {"query": document}
        if self.variables:
            parameters["variables"] = {name: value for name, (_, value) in self.variables.items()}
        if self.choose.random() < 0.05:
            parameters["variables"] = shapes.value(self.choose)
        if self.choose.random() < 0.03:
            parameters["operationName"] = shapes.text(self.choose)
        if self.choose.random() < 0.03:
            parameters["extensions"] = shapes.value(self.choose)
        if self.choose.random() < 0.02:
            parameters = {"documentId": shapes.text(self.choose)}
        if self.choose.random() < 0.02:
            parameters |= {shapes.text(self.choose, 1_000): shapes.value(self.choose)}
        return parameters

    def document(self) -> str:
        kinds: list[Callable[[], str]] = [
            self.by_schema, self.by_schema, self.by_schema, self.unknown_input_fields,
            self.unknown_fields, self.conflicts, self.fragments, self.inline_fragments,
            self.directives, self.unused_variables, self.operations, self.literals, self.raw,
            self.introspection, self.wide,
        ]  # fmt: skip
        return self.choose.choice(kinds)()

    def by_schema(self) -> str:
        """A document whose names are right, with values of all shapes."""
        kind = self.choose.choices(OPERATIONS, [60, 35, 5])[0]
        root = self.schema.type_map[kind.capitalize()]
        assert isinstance(root, GraphQLObjectType)
        count = 1 if self.choose.random() < 0.7 else self.choose.randrange(1, 25)
        names = self.choose.choices(list(root.fields), k=count)
        budget = [self.choose.choice([5, 30, 200, 900])]
        fields = " ".join(
            f"a{number}: {self._field(root, name, budget, 0)}" for number, name in enumerate(names)
        )
        definitions = " ".join(f"${name}: {type}" for name, (type, _) in self.variables.items())
        return f"{kind} Q{f'({definitions})' if definitions else ''} {{ {fields} }}"

    def unknown_input_fields(self) -> str:
        count = min(shapes.size(self.choose), 3_000)
        inside = self.choose.choice(["1", '"y"', "[[1]]", "{a: 1}", '"' + "y" * 60 + '"'])
        fields = " ".join(f"x{number}: {inside}" for number in range(count))
        return f"mutation {{ updateDevice(input: {{ {fields} }}) {{ errors {{ code }} }} }}"

    def unknown_fields(self) -> str:
        names = self._names()
        return "{ devices { nodes { " + " ".join(names) + " } } }"

    def conflicts(self) -> str:
        count = min(shapes.size(self.choose), 1_500)
        different = self.choose.choice(
            [
                lambda n: f'a: device(id: "{n}") {{ id }}',
                lambda n: f"a{n % 50}: devices(first: {n}) {{ nodes {{ id }} }}",
                lambda n: f"a: {self.choose.choice(['me', 'fleet', 'devices'])} {{ b{n}: id }}",
                lambda n: f'a: device(id: "{"x" * 900}{n}") {{ id }}',
            ]
        )
        return "{ " + " ".join(different(number) for number in range(count)) + " }"

    def fragments(self) -> str:
        count = min(shapes.size(self.choose), 300)
        reach = self.choose.choice([1, 2, count])
        parts = []
        for number in range(count):
            spreads = range(number + 1, min(number + 1 + reach, count))
            inside = " ".join(f"...f{other}" for other in spreads)
            on = self.choose.choice(["Query", "Query", "Device", "Nothing"])
            parts.append(f"fragment f{number} on {on} {{ {inside} me {{ id }} }}")
        repeated = "...f0 " * self.choose.choice([1, 1, 100])
        return f"{{ {repeated} }} " + " ".join(parts)

    def inline_fragments(self) -> str:
        count = min(shapes.size(self.choose), 600)
        if self.choose.random() < 0.5:
            return "{ " + "... on Query { me { id } } " * count + "}"
        return "{ " + "... on Query { " * count + "me { id }" + " }" * count + " }"

    def directives(self) -> str:
        count = min(shapes.size(self.choose), 1_500)
        used = self.choose.choice(["@include(if: true)", "@skip(if: $x)", "@nothing", "@a(b: [1])"])
        return "{ me " + f"{used} " * count + "{ id } }"

    def unused_variables(self) -> str:
        count = min(shapes.size(self.choose), 1_500)
        type = self.choose.choice(["Int", "[[[[Int!]!]!]!]!", "Nothing", "DeviceFilter"])
        default = self.choose.choice(["", " = 1", ' = "x"', " = [1, 2]", " = {a: 1}"])
        names = " ".join(f"$v{number}: {type}{default}" for number in range(count))
        return f"query Q({names}) {{ me {{ id }} }}"

    def operations(self) -> str:
        count = min(shapes.size(self.choose), 500)
        same = self.choose.random() < 0.3
        return " ".join(f"query Q{0 if same else n} {{ me {{ id }} }}" for n in range(count))

    def literals(self) -> str:
        count = min(shapes.size(self.choose), 2_000)
        inside = self.choose.choice(
            [
                json.dumps(shapes.text(self.choose, 40_000), ensure_ascii=False),
                '"""' + "\n  x" * count + '"""',
                '"' + "\\u0041" * count + '"',
                "9" * count,
                "[" + "1 " * count + "]",
                "[" * count + "]" * count,
                "{" + "a: {" * count + "}" * count + "}",
                "X" * count,
                "[" + ("X" * 400 + " ") * min(count, 100) + "]",
            ]
        )
        field = self.choose.choice(
            ["device(id: %s) { id }", "devices(filter: %s) { totalCount }",
             "events(filter: {kinds: %s}) { totalCount }", "devices(first: %s) { totalCount }",
             "devices(filter: {owner: %s}) { totalCount }", "devices(after: %s) { totalCount }"]
        )  # fmt: skip
        return "{ " + field % inside + " }"

    def raw(self) -> str:
        """A text that is hardly a document."""
        count = shapes.size(self.choose, 60_000)
        part = self.choose.choice(
            ["{ a ", "{", "[", "(", "...a ", "#\n", '"" ', '"""', "$a", "a:", "@a ", "\ufeff", "|"]
        )
        return self.choose.choice(["", "{ ", "query Q "]) + part * (count // len(part))

    def introspection(self) -> str:
        depth = self.choose.randrange(1, 20)
        deep = "fields { type { " * depth + "name" + " } }" * depth
        aliases = self.choose.choice([1, 3, 30])
        return (
            "{ "
            + " ".join(f"a{n}: __schema {{ types {{ {deep} }} }}" for n in range(aliases))
            + "}"
        )

    def wide(self) -> str:
        """Whole pages of everything."""
        first = self.choose.choice([1, 50, 500, 100_000])
        leaves = "id owner measurementType sensorModel firmware state inSync online registeredAt"
        more = self.choose.choice(
            ["", "topics { data config state status listen }", "config { version updatedBy }",
             "configHistory(first: 100) { version }", "location { place latitude }"]
        )  # fmt: skip
        if self.choose.random() < 0.3:
            return f"{{ events(first: {first}) {{ nodes {{ id kind actor before after at }} }} }}"
        return f"{{ devices(first: {first}) {{ totalCount nodes {{ {leaves} {more} }} }} }}"

    def _names(self) -> list[str]:
        count = min(shapes.size(self.choose), 2_000)
        length = self.choose.choice([1, 10, 400])
        return ["n" * length + str(number) for number in range(count)]

    def _field(self, parent: GraphQLObjectType, name: str, budget: list[int], depth: int) -> str:
        budget[0] -= 1
        field = parent.fields[name]
        arguments = [
            f"{key}: {self._argument(argument.type, str(argument.type))}"
            for key, argument in field.args.items()
            if str(argument.type).endswith("!") or self.choose.random() < 0.3
        ]
        given = f"({', '.join(arguments)})" if arguments else ""
        return name + given + self._selection(get_named_type(field.type), budget, depth)

    def _selection(self, type: GraphQLNamedType, budget: list[int], depth: int) -> str:
        if is_leaf_type(type):
            return ""
        if isinstance(type, GraphQLUnionType):
            return " { __typename }"
        assert isinstance(type, GraphQLObjectType)
        leaves = [
            name for name in type.fields if is_leaf_type(get_named_type(type.fields[name].type))
        ]
        inside = [*self.choose.choices(leaves, k=3)] if leaves else ["__typename"]
        budget[0] -= len(inside)
        parts = list(dict.fromkeys(inside))
        deeper = [name for name in type.fields if name not in leaves]
        while deeper and budget[0] > 0 and depth < 14 and self.choose.random() < 0.7:
            name = self.choose.choice(deeper)
            parts.append(f"b{budget[0]}: {self._field(type, name, budget, depth + 1)}")
        return " { " + " ".join(parts) + " }"

    def _argument(self, type: Any, text: str) -> str:
        if self.choose.random() < 0.5:
            name = f"v{len(self.variables)}"
            self.variables[name] = text, self._input(type)
            return f"${name}"
        return _literal(self._input(type, 2_000))

    def _input(self, type: Any, largest: int = shapes.SIZES[-1]) -> Any:  # noqa: PLR0911
        """Return a value that is mostly of the type."""
        named = get_named_type(type)
        if self.choose.random() < 0.1:
            return shapes.value(self.choose, largest)
        if is_list_type(type) and self.choose.random() < 0.9:
            return [self._input(named, largest) for _ in range(self.choose.choice([0, 1, 3, 101]))]
        if isinstance(named, GraphQLInputObjectType):
            return dict(self._input_fields(named, largest))
        match named.name:
            case "Int":
                return self.choose.choice([0, 1, 2, 50, 500, 501, -1, 2**31, 2**53])
            case "Float":
                return self.choose.choice([0.0, 48.85, 1e308, -91])
            case "Boolean":
                return self.choose.choice([True, False])
            case "String" | "ID":
                usual = ["Acme", "Paris", "1", "ec42179b76a53de03a9ace42975a4fc6"]
                heavy = self.choose.random() < 0.5
                return shapes.text(self.choose, largest) if heavy else self.choose.choice(usual)
        values = list(getattr(named, "values", {"x": 1}))
        return self.choose.choice(values)

    def _input_fields(
        self, type: GraphQLInputObjectType, largest: int
    ) -> Iterator[tuple[str, Any]]:
        for name, field in type.fields.items():
            if str(field.type).endswith("!") or self.choose.random() < 0.4:
                yield name, self._input(field.type, largest)
        if self.choose.random() < 0.05:
            for number in range(min(shapes.size(self.choose, largest), 5_000)):
                yield f"x{number}", self.choose.choice([1, "y" * 100, {"a": [1]}])


def _literal(value: Any) -> str:
    match value:
        case dict():
            return "{" + ", ".join(f"{key}: {_literal(each)}" for key, each in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_literal, value)) + "]"
        case str() if value.isupper() and value.replace("_", "").isalpha():
            return value
        case _:
            return json.dumps(value, ensure_ascii=False)


SCHEMA: GraphQLSchema = core_schema(build_schema())
