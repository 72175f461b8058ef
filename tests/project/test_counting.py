"""A test run fails if a collected test did not run, with and without worker processes."""

from pathlib import Path

import pytest

from tests.project import nested

GOOD = """
import pytest

@pytest.mark.parametrize("number", range(3))
def test_a_number(number):
    assert number < 3

@pytest.mark.skip(reason="needs a board")
def test_a_board():
    assert False

@pytest.fixture
def missing():
    pytest.skip("needs a broker")

def test_a_broker(missing):
    assert False
"""
# As schemathesis does: different names, but the same id.
SAME_ID = """
import pytest

def pytest_collection_modifyitems(items):
    first = items[0]
    same = [
        pytest.Function.from_parent(
            first.parent, name=f"{first.originalname}[{n}]", callobj=first.obj,
            originalname=first.originalname,
        )
        for n in range(3)
    ]
    items[:] = same
"""
LOSES_ONE = """
import pytest

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item):
    return True if item.name == "test_a_number[1]" else None
"""
UNEXPLAINED = """
import pytest

def test_nothing():
    pytest.skip()
"""


@pytest.fixture(params=[(), ("-n", "2", "--dist", "loadfile")], ids=["one process", "workers"])
def options(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return tuple(request.param)


def run(folder: Path, *options: str, tests: str = GOOD, conftest: str = "") -> tuple[int, str]:
    folders = ("--basetemp", str(folder / "temporary"))
    return nested.run(folder, "tests.counting", *folders, *options, tests=tests, conftest=conftest)


def test_complete_run_reports_counts(tmp_path: Path, options: tuple[str, ...]) -> None:
    status, output = run(tmp_path, *options)
    assert "collected 5 = ran 3 + skipped 2\n" in output
    assert status == pytest.ExitCode.OK


def test_deselected_tests_are_not_collected(tmp_path: Path, options: tuple[str, ...]) -> None:
    status, output = run(tmp_path, *options, "-k", "a_number")
    assert "collected 3 = ran 3 + skipped 0\n" in output
    assert status == pytest.ExitCode.OK


def test_duplicate_test_id_ends_the_run(tmp_path: Path, options: tuple[str, ...]) -> None:
    status, output = run(tmp_path, *options, conftest=SAME_ID)
    assert "Test ids are not unique:" in output
    assert "test_numbers.py::test_a_number (3 tests)" in output
    assert status == pytest.ExitCode.USAGE_ERROR


def test_lost_test_fails_the_run(tmp_path: Path, options: tuple[str, ...]) -> None:
    status, output = run(tmp_path, *options, conftest=LOSES_ONE)
    assert "collected 5 = ran 2 + skipped 2 + lost 1\n" in output
    assert "test_numbers.py::test_a_number[1]" in output
    assert status == pytest.ExitCode.TESTS_FAILED


def test_skip_without_reason_fails_the_run(tmp_path: Path, options: tuple[str, ...]) -> None:
    status, output = run(tmp_path, *options, tests=UNEXPLAINED)
    assert "Skipped without a reason:" in output
    assert status == pytest.ExitCode.TESTS_FAILED


def test_failed_test_counts_as_run(tmp_path: Path, options: tuple[str, ...]) -> None:
    status, output = run(tmp_path, *options, tests="def test_it():\n    assert False\n")
    assert "collected 1 = ran 1 + skipped 0\n" in output
    assert status == pytest.ExitCode.TESTS_FAILED
