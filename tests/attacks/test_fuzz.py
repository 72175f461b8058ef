"""The fuzzer of `make fuzz`, with fewer messages."""

from bench.fuzz.__main__ import fuzz

MESSAGES = 8_000
# `make fuzz` takes another one each time.
SEED = 77


async def test_no_message_goes_over_its_budget(database_url: str) -> None:
    findings = await fuzz(database_url, MESSAGES, SEED, print)
    for answer in ("http 200", "http 400", "http 401", "http 422", "http 431"):
        assert findings.answers[answer] > MESSAGES / 1_000, findings.answers
