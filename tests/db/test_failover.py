"""A primary that dies or freezes is left for its standby, and nothing acknowledged is lost."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.db.load import check_log, load
from tests.server.process import ServerProcess, wait_for
from tests.support.postgres import QUOTED, USER, Cluster, cluster, standby

MOST_SECONDS = 15


class Pair:
    def __init__(self, primary: Cluster, second: Cluster) -> None:
        self.primary = primary
        self.second = second

    @property
    def url(self) -> str:
        places = f"{self.primary.place},{self.second.place}"
        return f"postgresql://{USER}:{QUOTED}@{places}/rollcall?target_session_attrs=read-write"


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with (
        cluster(tmp_path / "primary") as primary,
        standby(primary, tmp_path / "standby", "second") as second,
    ):
        primary.sql("ALTER SYSTEM SET synchronous_standby_names = 'second'")
        primary.sql("SELECT pg_reload_conf()")
        synchronous = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
        wait_for(lambda: primary.sql(synchronous) == "1")
        yield Pair(primary, second)


@pytest.fixture
def servers(pair: Pair, tmp_path: Path) -> Iterator[list[ServerProcess]]:
    with ExitStack() as stack:
        made = [
            ServerProcess(tmp_path / name, ROLLCALL_DATABASE_URL=pair.url, ROLLCALL_MQTT="off")
            for name in ("one", "two")
        ]
        for server in made:
            server.start()
            stack.callback(server.kill)
        yield made


@pytest.mark.parametrize("end", [Cluster.kill, Cluster.freeze])
async def test_servers_go_on_at_the_standby(
    end: Callable[[Cluster], None], pair: Pair, servers: list[ServerProcess]
) -> None:
    async with load(*servers) as running:
        await running.acknowledged(100)
        end(pair.primary)
        began = time.monotonic()
        pair.second.promote()
        await running.goes_on()
        assert time.monotonic() - began < MOST_SECONDS
        await running.acknowledged(100)
        # It has come back, and still takes itself for the primary.
        pair.primary.thaw() if end is Cluster.freeze else pair.primary.start()
        await running.acknowledged(100)
    there = set(pair.second.sql("SELECT id FROM devices", "rollcall").split())
    assert running.ids <= there
    assert not running.odd
    assert set(running.codes) <= {"DATABASE_UNAVAILABLE", "OVERLOADED"}
    check_log(*servers)
