"""Python source that grows, and the objects that it names."""

from typing import Any


class Unsupported(Exception):
    """The operation is left to graphql-core."""


class Source:
    """`names`: what the functions can use beside their arguments. `plain_variables`: nothing in it
    needs more of variables than their values.
    """

    def __init__(self) -> None:
        self.plain_variables = True
        self.names: dict[str, Any] = {}
        self._functions: list[str] = []
        self._numbers: dict[str, int] = {}

    def fresh(self, prefix: str) -> str:
        """A name that nothing has yet."""
        number = self._numbers.get(prefix, 0) + 1
        self._numbers[prefix] = number
        return f"{prefix}{number}"

    def constant(self, prefix: str, value: Any) -> str:
        """The name of an object; the same for the same one."""
        for name, known in self.names.items():
            if known is value:
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
        """The functions by name."""
        code = compile(self.text, "<compiled GraphQL>", "exec")
        exec(code, self.names)  # noqa: S102  made from a valid document, names quoted by repr
        return self.names
