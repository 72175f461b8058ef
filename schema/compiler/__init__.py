"""Compiles GraphQL operations on a strawberry schema to straight-line Python.

An operation becomes one function for each selection set, which reads the same attributes and calls
the same resolvers as strawberry and graphql-core would, and makes the same answer:

    async def s2(o, q):
        return {"id": c3(o.id), "config": s1(f4(o), q)}

It knows the way on which all goes well, and no other. Whatever happens besides (an exception, a
null where there must be none, a value that its type does not take) ends the compiled run, and
graphql-core tells what is to be told: of the same root values, so that no root resolver runs twice.
Of a subscription, it makes the answer to one event, `Run(context, variables, event)`.
What can't be compiled at all (introspection, @defer, a field with an exception handler) is left to
graphql-core from the beginning.

    compiler = Compiler(strawberry_schema)
    compiled = compiler.compile(operation, fragments, {})   # raises Unsupported
    data = await compiled(Run(context, variables))          # raises Astray

- `compile.py`: from a selection set to a function
- `fields.py`: how the value of a field is got
- `inputs.py`: how variables and arguments become what resolvers take
- `leaves.py`: how a value of a scalar or enum is told
- `run.py`: an operation that runs, and how graphql-core takes over
- `codegen.py`: Python source that grows
- `strawberry_internals.py`, `graphql_internals.py`: what is used of the libraries' insides
"""

from schema.compiler.codegen import Unsupported
from schema.compiler.compile import Compiler
from schema.compiler.inputs import Variables
from schema.compiler.run import Compiled, FallBack, Run, replay

__all__ = [
    "Compiled",
    "Compiler",
    "FallBack",
    "Run",
    "Unsupported",
    "Variables",
    "replay",
]
