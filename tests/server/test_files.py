"""The limit of open files."""

import json
import subprocess
import sys

import pytest

RUN = """
import json, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
from server.runtime.files import allow_connections
allowed = allow_connections({wanted})
print(json.dumps([allowed, resource.getrlimit(resource.RLIMIT_NOFILE)[0]]))
"""


@pytest.mark.parametrize(
    ("soft", "hard", "wanted", "allowed", "raised"),
    [
        (1_024, 5_000, 4_000, 4_000, 4_200),
        (1_024, 2_000, 4_000, 1_800, 2_000),
        (256, 256, 4_000, 128, 256),
        (4_500, 5_000, 4_000, 4_000, 4_500),
    ],
)
def test_file_limit_is_raised_for_connections(
    soft: int, hard: int, wanted: int, allowed: int, raised: int
) -> None:
    script = RUN.format(soft=soft, hard=hard, wanted=wanted)
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, text=True
    )
    assert json.loads(found.stdout) == [allowed, raised]
    assert ("ROLLCALL_MAX_CONNECTIONS" in found.stderr) is (allowed < wanted)
