"""A server that measures the longest time its event loop was occupied: `python -m
bench.fuzz.metered_server <file> serve`.

The file gets the processor time of the longest single callback, in nanoseconds, as 8 bytes. The
server runs on asyncio's own event loop, because uvloop's callbacks can't be measured.
"""

import asyncio
import mmap
import sys
import time
from pathlib import Path


class Meter:
    """Shared between the server and the process that reads it."""

    def __init__(self, file: Path) -> None:
        with file.open("r+b") as opened:
            self.longest = memoryview(mmap.mmap(opened.fileno(), 8)).cast("Q")

    @classmethod
    def create(cls, file: Path) -> "Meter":
        file.write_bytes(bytes(8))
        return cls(file)

    def take(self) -> float:
        """Return the longest time in milliseconds since the last call."""
        longest, self.longest[0] = self.longest[0], 0
        return longest / 1e6

    def install(self) -> None:
        """Measure all callbacks of this process's event loop."""
        run = asyncio.Handle._run  # noqa: SLF001
        longest, clock = self.longest, time.thread_time_ns

        def measured(handle: asyncio.Handle) -> None:
            began = clock()
            run(handle)
            took = clock() - began
            longest[0] = max(longest[0], took)

        asyncio.Handle._run = measured  # type: ignore[method-assign]  # noqa: SLF001
        # Not importable: uvicorn takes asyncio's loop then.
        sys.modules["uvloop"] = None  # type: ignore[assignment]


if __name__ == "__main__":
    Meter(Path(sys.argv.pop(1))).install()
    from server.cli.main import app

    app()
