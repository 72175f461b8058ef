"""Compiles GraphQL operations on a strawberry schema to straight-line Python.

An operation becomes one function for each selection set. The functions read the same attributes,
call the same resolvers and build the same result as strawberry and graphql-core:

    async def s2(o, q):
        return {"id": c3(o.id), "config": s1(f4(o), q)}

Only the success path is compiled. Anything else (an exception, a null in a non-null field, a value
that its type refuses) ends the compiled run and falls back to graphql-core, which formats the
errors. It gets the root values that were already resolved, so that no root resolver runs twice.
For a subscription, compiled code builds the result of one event, `Run(context, variables, event)`.
Operations that can't be compiled (introspection, @defer, a field with an exception handler) are
executed by graphql-core from the start.

    compiler = Compiler(strawberry_schema)
    compiled = compiler.compile(operation, fragments, {})   # raises Unsupported
    data = await compiled(Run(context, variables))          # raises FallBack

- `compile.py`: compiles selection sets to functions
- `fields.py`: generates code for the values of fields
- `inputs.py`: converts variables and arguments to the values that resolvers take
- `leaves.py`: serializes values of scalars and enums
- `run.py`: runs a compiled operation; the fallback to graphql-core
- `codegen.py`: collects generated Python source
- `strawberry_internals.py`, `graphql_internals.py`: private names of the libraries
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
