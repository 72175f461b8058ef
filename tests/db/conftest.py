"""A cluster that the tests of a module share, and a database in it for each test."""

import itertools
from collections.abc import Iterator

import pytest

from tests.support.postgres import QUOTED, USER, Cluster, cluster

numbers = itertools.count()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("postgres") / "data") as started:
        yield started


@pytest.fixture
def url(server: Cluster) -> Iterator[str]:
    name = f"test_{next(numbers)}"
    server.sql(f"CREATE DATABASE {name} OWNER {USER}")
    yield f"postgresql://{USER}:{QUOTED}@{server.address}/{name}"
    server.sql(f"DROP DATABASE {name} WITH (FORCE)")
