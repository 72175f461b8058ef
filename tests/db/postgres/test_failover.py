"""Failover from a killed or frozen primary to its standby loses no acknowledged registration."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.db.postgres.load import check_log, load
from tests.server.process import ServerProcess, wait_for
from tests.support.postgres import QUOTED, USER, Cluster, cluster, standby

MAX_SECONDS = 15


class Pair:
    def __init__(self, primary: Cluster, second: Cluster) -> None:
        self.primary = primary
        self.second = second

    @property
    def url(self) -> str:
        places = f"{self.primary.address},{self.second.address}"
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
async def test_servers_continue_on_promoted_standby(
    end: Callable[[Cluster], None], pair: Pair, servers: list[ServerProcess]
) -> None:
    async with load(*servers) as running:
        await running.acknowledged(100)
        end(pair.primary)
        began = time.monotonic()
        pair.second.promote()
        await running.continues()
        assert time.monotonic() - began < MAX_SECONDS
        await running.acknowledged(100)
        # The old primary is back and still acts as a primary.
        pair.primary.thaw() if end is Cluster.freeze else pair.primary.start()
        await running.acknowledged(100)
    stored_ids = set(pair.second.sql("SELECT id FROM devices", "rollcall").split())
    assert running.ids <= stored_ids
    assert not running.unexpected
    assert set(running.codes) <= {"DATABASE_UNAVAILABLE", "OVERLOADED"}
    check_log(*servers)
