"""Keys and values in the `metadata=` of schema fields, for the engine."""

# On a root field: see `Root.caller_only`.
CALLER_ONLY = "caller_only"
COST = "cost"
# Cost of a mutation and of a database read, in values of a result.
WRITE = 600
READ = 100
