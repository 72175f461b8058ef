"""The fuzzer and the soak test of `bench/`, with small parameters."""

import os

from bench.follow import soak
from bench.fuzz import fuzz
from bench.serving import serving

REQUESTS = 1_000
SUBSCRIBERS, CHANGES, MAX_SECONDS = 15, 200, 3.0


async def test_fuzzed_requests_and_frames_get_responses(database_url: str) -> None:
    seed = int.from_bytes(os.urandom(3))
    print(f"seed {seed}")  # noqa: T201  pytest shows it if the test fails
    with serving(database_url) as server:
        answers = await fuzz(server, REQUESTS, seed, print)
    assert answers["200"] > REQUESTS / 20
    assert answers["400"] > REQUESTS / 20


async def test_subscribers_of_two_servers_receive_each_change_once(database_url: str) -> None:
    found = await soak(database_url, SUBSCRIBERS, CHANGES, max_seconds=MAX_SECONDS)
    assert "exactly once" in found
