"""Send broken requests and frames to a server: `make fuzz`.

Sends 100,000, made from a seed that it prints; the tests send some thousands. No response may be a
500, no error may be INTERNAL, the log may have no traceback, and the memory may not grow.
"""

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from bench.fuzzer import Fuzzer
from bench.serving import ADMIN, Serving, ready, serving
from db.embedded import EmbeddedPostgres

WORKERS = 16
FRAMES_SHARE = 0.15
GROWTH_MEGABYTES = 25
# A request that is shorter than its announced length gets no response.
RESPONSE_SECONDS = 5.0

PARTS = 8


async def fuzz(server: Serving, count: int, seed: int, log: Callable[[str], None]) -> Counter[str]:
    """Count the responses. Raises AssertionError if the server misbehaves."""
    url = await ready(server.output)
    responses: Counter[str] = Counter()
    process = psutil.Process(server.pid)
    started = time.monotonic()
    before = 0.0
    for part in range(PARTS):
        numbers = iter(range(count * part // PARTS, count * (part + 1) // PARTS))
        await asyncio.gather(*(_attack(url, numbers, seed, responses) for _ in range(WORKERS)))
        memory = process.memory_info().rss / 2**20
        # The first part fills caches, pools and buffers, which are limited.
        before = before or memory
        sent = count * (part + 1) // PARTS
        log(f"{sent} sent, {sent / (time.monotonic() - started):.0f}/s, {memory:.0f} MB")
    assert memory - before < GROWTH_MEGABYTES, f"from {before:.0f} to {memory:.0f} MB"
    output = server.output.read_text()
    assert "Traceback" not in output, output[output.index("Traceback") :][:5_000]
    bad = [each for each in responses if each.startswith(("500", "INTERNAL"))]
    assert not bad, bad
    return responses


async def _attack(url: str, numbers: Any, seed: int, responses: Counter[str]) -> None:
    for number in numbers:
        fuzzer = Fuzzer(seed * 1_000_003 + number)
        if fuzzer.random.random() < FRAMES_SHARE:
            responses[await _frames(url, fuzzer)] += 1
        else:
            responses[await _request(url, fuzzer)] += 1


async def _request(url: str, fuzzer: Fuzzer) -> str:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        with suppress(OSError):
            writer.write(fuzzer.request(parts.netloc))
            await writer.drain()
            if fuzzer.random.random() < 0.3:
                writer.write_eof()
            async with asyncio.timeout(0.3 if fuzzer.random.random() < 0.05 else RESPONSE_SECONDS):
                head = await reader.readuntil(b"\r\n")
                if b"500" in head.split()[1:2]:
                    return "500 " + (await reader.read(500)).decode(errors="replace")
                await reader.readuntil(b"\r\n\r\n")
                body = await reader.read(20_000)
            if b'"INTERNAL"' in body:
                return "INTERNAL " + body.decode(errors="replace")
            return head.split()[1].decode() if len(head.split()) > 1 else "none"
    except (asyncio.IncompleteReadError, TimeoutError):
        return "no response"
    finally:
        writer.transport.abort()
    return "no response"


async def _frames(url: str, fuzzer: Fuzzer) -> str:
    choose = fuzzer.random
    payload = {"Authorization": f"Bearer {ADMIN}"}
    try:
        async with connect(
            url.replace("http", "ws"),
            subprotocols=["graphql-transport-ws"],
            compression=None,
            close_timeout=1,
        ) as socket:
            if choose.random() < 0.9:
                await socket.send(json.dumps({"type": "connection_init", "payload": payload}))
            for _ in range(choose.randrange(1, 6)):
                await socket.send(fuzzer.frame())
            with suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    async for message in socket:
                        if '"INTERNAL"' in str(message):
                            return f"INTERNAL {message!r}"
            if choose.random() < 0.5:
                socket.transport.abort()
    except (WebSocketException, OSError) as error:
        return type(error).__name__
    return f"closed {socket.close_code}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3)))
    options = parser.parse_args()
    print(f"Seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="rollcall-") as folder:
        postgres = EmbeddedPostgres(Path(folder))
        try:
            with serving(postgres.start()) as server:
                log = lambda line: print(line, flush=True)  # noqa: E731
                responses = asyncio.run(fuzz(server, options.count, options.seed, log))
        finally:
            postgres.stop()
    print(", ".join(f"{count} x {each}" for each, count in responses.most_common()))


if __name__ == "__main__":
    main()
