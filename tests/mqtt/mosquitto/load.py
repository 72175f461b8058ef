"""CPU load during a test."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

# The processes end by themselves if the test is killed.
BURNER = """
import time
end = time.monotonic() + {seconds}
while time.monotonic() < end:
    pass
"""
PROCESSES = 4


@contextmanager
def busy(processes: int = PROCESSES, seconds: float = 60) -> Iterator[None]:
    """Run processes that only use CPU time."""
    with ExitStack() as burners:
        for _ in range(processes):
            burner = burners.enter_context(
                subprocess.Popen([sys.executable, "-c", BURNER.format(seconds=seconds)])
            )
            burners.callback(burner.kill)
        yield
