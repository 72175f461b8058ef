"""Words that the code and documents do not use; docs/glossary.md has the ones to use instead.

Prints each line that has one, and exits with 1 if there is any.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
# Also as a part of an identifier: `_desk`, `told_by`, `DeskClient`.
RETIRED = (
    "desk",
    "told",
    "crowd",
    "whoever",
    "somebody",
    "nobody",
    "whom",
    "lane",
    "hearer",
    "sighting",
    "keeper",
)
WORD = re.compile(rf"(?:{'|'.join(RETIRED)})s?", re.IGNORECASE)
# The parts of an identifier in snake_case, camelCase or capitals.
PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
# This list, history, and what was built from libraries.
LEFT_OUT = (
    "scripts/check_words.py",
    "db/migrations/",
    "schema/released.graphql",
    "server/endpoints/assets/",
    "web/package-lock.json",
    "requirements",
    "tests/clients/",
    "LICENSE",
)
# Words that clients see, by the text around them.
ALLOWED = (
    "ROLLCALL_TRUSTED_ONLY",
    "NOBODY",
    '"nobody"',
    "`nobody`",
)


def main() -> None:
    found = [line for path in tracked() for line in retired(path)]
    if found:
        sys.exit(
            "\n".join([*found, f"{len(found)} lines have words to replace: docs/glossary.md."])
        )


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [Path(name) for name in listed.stdout.splitlines() if not name.startswith(LEFT_OUT)]


def retired(path: Path) -> list[str]:
    try:
        text = (ROOT / path).read_text()
    except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
        return []
    lines = []
    for number, line in enumerate(text.splitlines(), 1):
        shown = line
        for allowed in ALLOWED:
            shown = shown.replace(allowed, "")
        words = {part for part in PARTS.findall(shown) if WORD.fullmatch(part)}
        if words:
            lines.append(f"{path}:{number}: {', '.join(sorted(words))}: {line.strip()[:80]}")
    return lines


if __name__ == "__main__":
    main()
