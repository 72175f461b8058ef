"""What a server does with requests and frames that are none: answers, and nothing else.

`make fuzz` sends 100,000 from a seed that it prints; the tests send some thousands. No answer may
be a 500, no error may be INTERNAL, the log may show no traceback, and the memory may not grow.
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
# Who announces more than it sends gets no answer.
PATIENCE_SECONDS = 5.0

PARTS = 8


async def fuzz(server: Serving, count: int, seed: int, say: Callable[[str], None]) -> Counter[str]:
    """What was answered, counted; raises AssertionError for what must not be."""
    url = await ready(server.output)
    answers: Counter[str] = Counter()
    process = psutil.Process(server.pid)
    begun = time.monotonic()
    before = 0.0
    for part in range(PARTS):
        numbers = iter(range(count * part // PARTS, count * (part + 1) // PARTS))
        await asyncio.gather(*(_attack(url, numbers, seed, answers) for _ in range(WORKERS)))
        memory = process.memory_info().rss / 2**20
        # The first part fills what is bounded: caches, pools, buffers.
        before = before or memory
        sent = count * (part + 1) // PARTS
        say(f"{sent} sent, {sent / (time.monotonic() - begun):.0f}/s, {memory:.0f} MB")
    assert memory - before < GROWTH_MEGABYTES, f"from {before:.0f} to {memory:.0f} MB"
    output = server.output.read_text()
    assert "Traceback" not in output, output[output.index("Traceback") :][:5_000]
    bad = [answer for answer in answers if answer.startswith(("500", "INTERNAL"))]
    assert not bad, bad
    return answers


async def _attack(url: str, numbers: Any, seed: int, answers: Counter[str]) -> None:
    for number in numbers:
        fuzzer = Fuzzer(seed * 1_000_003 + number)
        if fuzzer.random.random() < FRAMES_SHARE:
            answers[await _frames(url, fuzzer)] += 1
        else:
            answers[await _request(url, fuzzer)] += 1


async def _request(url: str, fuzzer: Fuzzer) -> str:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        with suppress(OSError):
            writer.write(fuzzer.request(parts.netloc))
            await writer.drain()
            if fuzzer.random.random() < 0.3:
                writer.write_eof()
            async with asyncio.timeout(0.3 if fuzzer.random.random() < 0.05 else PATIENCE_SECONDS):
                head = await reader.readuntil(b"\r\n")
                if b"500" in head.split()[1:2]:
                    return "500 " + (await reader.read(500)).decode(errors="replace")
                await reader.readuntil(b"\r\n\r\n")
                body = await reader.read(20_000)
            if b'"INTERNAL"' in body:
                return "INTERNAL " + body.decode(errors="replace")
            return head.split()[1].decode() if len(head.split()) > 1 else "none"
    except (asyncio.IncompleteReadError, TimeoutError):
        return "left"
    finally:
        writer.transport.abort()
    return "left"


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
    chosen = parser.parse_args()
    print(f"Seed {chosen.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="rollcall-") as folder:
        postgres = EmbeddedPostgres(Path(folder))
        try:
            with serving(postgres.start()) as server:
                say = lambda line: print(line, flush=True)  # noqa: E731
                answers = asyncio.run(fuzz(server, chosen.count, chosen.seed, say))
        finally:
            postgres.stop()
    print(", ".join(f"{count} x {answer}" for answer, count in answers.most_common()))


if __name__ == "__main__":
    main()
