"""Generated Python source and the objects that it refers to."""

from typing import Any


class Unsupported(Exception):
    """The operation can't be compiled; graphql-core executes it."""


class Source:
    """`names`: the globals of the functions. `plain_variables`: the code needs only the coerced
    values of variables, not the other parts of `VariableValues`.
    """

    def __init__(self) -> None:
        self.plain_variables = True
        self.names: dict[str, Any] = {}
        self._functions: list[str] = []
        self._numbers: dict[str, int] = {}

    def fresh(self, prefix: str) -> str:
        """Return an unused name."""
        number = self._numbers.get(prefix, 0) + 1
        self._numbers[prefix] = number
        return f"{prefix}{number}"

    def constant(self, prefix: str, value: Any) -> str:
        """Return the name of an object; the same object always has the same name."""
        for name, existing in self.names.items():
            if existing is value:
                return name
        name = self.fresh(prefix)
        self.names[name] = value
        return name

    def function(self, text: str) -> None:
        self._functions.append(text)

    @property
    def text(self) -> str:
        return "\n\n".join(self._functions)

    def built(self) -> dict[str, Any]:
        """Compile the source and return the functions by name."""
        code = compile(self.text, "<compiled GraphQL>", "exec")
        exec(code, self.names)  # noqa: S102  generated from a valid document, names quoted by repr
        return self.names
