"""The schema's text is committed, and what breaks clients is announced.

Compares `schema.graphql` with what the code gives (`--write` writes it), and the code with
`schema/released.graphql`, the contract of the last release: each breaking change must stand, in
these words, in CHANGELOG.md.
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
        sys.exit(
            "schema.graphql is not what the code gives: run `make schema` and look at the diff."
        )
    changelog = (ROOT / "CHANGELOG.md").read_text()
    changes = find_breaking_changes(build_schema(RELEASED.read_text()), build_schema(current))
    missing = [change.description for change in changes if change.description not in changelog]
    if missing:
        sys.exit("\n".join(["Breaking changes that CHANGELOG.md does not announce:", *missing]))


if __name__ == "__main__":
    main()
