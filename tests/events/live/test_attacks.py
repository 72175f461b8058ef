"""The attacks and the soak of `bench/`, small enough for every day."""

import os

from bench.follow import soak
from bench.fuzz import fuzz
from bench.serving import serving

FUZZED = 1_000
FOLLOWERS, CHANGES, PATIENCE_SECONDS = 15, 200, 3.0


async def test_broken_requests_and_frames_are_answered(database_url: str) -> None:
    seed = int.from_bytes(os.urandom(3))
    print(f"seed {seed}")  # noqa: T201  pytest shows it where this fails
    with serving(database_url) as server:
        answers = await fuzz(server, FUZZED, seed, print)
    assert answers["200"] > FUZZED / 20
    assert answers["400"] > FUZZED / 20


async def test_followers_of_two_servers_miss_nothing(database_url: str) -> None:
    found = await soak(database_url, FOLLOWERS, CHANGES, patience=PATIENCE_SECONDS)
    assert "exactly once" in found
