"""Send hostile messages to a server: `make fuzz`.

HTTP requests, WebSocket frames and MQTT packets that are large, deep, wide, repetitive or broken,
a million of them, made from a seed that it prints; the tests send some thousands. None may occupy
the server's event loop for more than 50 ms of processor time at once, get more than 256 KB in
return or cause an internal error. The log may have no traceback, and the memory may not grow.
"""

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.fuzz.run import GROWTH_MEGABYTES, Findings, Run
from bench.fuzz.server import fuzzed_server
from db.embedded import EmbeddedPostgres


async def fuzz(database_url: str, count: int, seed: int, log: Callable[[str], None]) -> Findings:
    """Raises AssertionError if a message goes over its budget or the server misbehaves."""
    async with fuzzed_server(database_url) as (server, meter, target):
        findings = await Run(server, meter, target, seed).send_all(count, log)
        output = server.output.read_text()
        grown = findings.megabytes[-1] - findings.megabytes[0]
    assert not findings.excesses, "\n".join(findings.excesses[:30])
    assert "Traceback" not in output, output[output.index("Traceback") - 500 :][:5_000]
    assert grown < GROWTH_MEGABYTES, findings.megabytes
    return findings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3)))
    options = parser.parse_args()
    print(f"Seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="rollcall-") as folder:
        postgres = EmbeddedPostgres(Path(folder))
        try:
            log = lambda line: print(line, flush=True)  # noqa: E731
            findings = asyncio.run(fuzz(postgres.start(), options.count, options.seed, log))
        except AssertionError as error:
            sys.exit(str(error))
        finally:
            postgres.stop()
    print(", ".join(f"{count} x {each}" for each, count in findings.answers.most_common()))


if __name__ == "__main__":
    main()
