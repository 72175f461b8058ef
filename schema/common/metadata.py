"""What a field of the schema says of itself to the engine, in `metadata=`."""

# In a root field's metadata: see `Root.of_caller`.
OF_CALLER = "of_caller"
COST = "cost"
# What a change takes, and a read of the database, in values of an answer.
WRITE = 600
READ = 100
