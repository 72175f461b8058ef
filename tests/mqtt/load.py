"""Other work for the machine while a test runs."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

# They end by themselves if the test is killed.
BURNER = """
import time
end = time.monotonic() + 60
while time.monotonic() < end:
    pass
"""
PROCESSES = 4


@contextmanager
def busy() -> Iterator[None]:
    with ExitStack() as burners:
        for _ in range(PROCESSES):
            burner = burners.enter_context(subprocess.Popen([sys.executable, "-c", BURNER]))
            burners.callback(burner.kill)
        yield
