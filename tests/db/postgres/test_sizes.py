"""Sizes of the connection pools of a process."""

import pytest

from db.postgres.permanent import DatabaseUnusable
from db.postgres.sizes import FULL, LEAST, sizes_for
from server.settings import Settings, SettingsError, read_settings


def test_pool_sizes_add_up_to_connections() -> None:
    assert sizes_for(FULL.total) == FULL
    assert sizes_for(LEAST.total) == LEAST
    for connections in range(LEAST.total, 3 * FULL.total):
        assert sizes_for(connections).total == connections


def test_too_few_connections_in_settings_are_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLLCALL_DATABASE_CONNECTIONS", str(2 * LEAST.total - 1))
    assert read_settings().connections_per_process == 2 * LEAST.total - 1
    monkeypatch.setenv("ROLLCALL_WORKERS", "2")
    with pytest.raises(
        SettingsError, match="ROLLCALL_DATABASE_CONNECTIONS: Give at least 16 for each of 2"
    ):
        read_settings()


def test_too_few_connections_per_process_raise() -> None:
    settings = Settings(database_connections=20).model_copy(update={"workers": 2})
    with pytest.raises(DatabaseUnusable, match="leaves 10 connections for each process"):
        sizes_for(settings.connections_per_process)


def test_processes_share_connections() -> None:
    assert Settings(workers=4).connections_per_process == FULL.total
    assert Settings(workers=4, database_connections=90).connections_per_process == 22
