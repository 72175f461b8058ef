"""The soak test of `bench/`, with small parameters."""

from bench.follow import soak

SUBSCRIBERS, CHANGES, MAX_SECONDS = 15, 200, 3.0


async def test_subscribers_of_two_servers_receive_each_change_once(database_url: str) -> None:
    found = await soak(database_url, SUBSCRIBERS, CHANGES, max_seconds=MAX_SECONDS)
    assert "exactly once" in found
