"""The fuzzer of `make fuzz`, with fewer messages."""

import os

from bench.fuzz.__main__ import fuzz

MESSAGES = 20_000


async def test_no_message_goes_over_its_budget(database_url: str) -> None:
    seed = int.from_bytes(os.urandom(3))
    print(f"seed {seed}")  # noqa: T201  pytest shows it if the test fails
    findings = await fuzz(database_url, MESSAGES, seed, print)
    for answer in ("http 200", "http 400", "http 401", "http 422", "http 431"):
        assert findings.answers[answer] > MESSAGES / 1_000, findings.answers
