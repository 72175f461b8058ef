"""Check that schema.graphql is up to date and that CHANGELOG.md lists breaking changes.

Compares `schema.graphql` with the schema of the code (`--write` updates the file). Then compares
the code with `schema/released.graphql`, the schema of the last release: CHANGELOG.md must contain
the description of each breaking change literally.
"""

import sys
from pathlib import Path

from graphql import build_schema, find_breaking_changes

from schema.build import schema_text

ROOT = Path(__file__).parent.parent
COMMITTED = ROOT / "schema.graphql"
RELEASED = ROOT / "schema" / "released.graphql"


def main() -> None:
    current = schema_text()
    if "--write" in sys.argv:
        COMMITTED.write_text(current)
    if COMMITTED.read_text() != current:
        sys.exit("schema.graphql does not match the code: run `make schema` and check the diff.")
    changelog = (ROOT / "CHANGELOG.md").read_text()
    changes = find_breaking_changes(build_schema(RELEASED.read_text()), build_schema(current))
    missing = [change.description for change in changes if change.description not in changelog]
    if missing:
        sys.exit(
            "\n".join(["CHANGELOG.md does not list these breaking changes; add them:", *missing])
        )


if __name__ == "__main__":
    main()
