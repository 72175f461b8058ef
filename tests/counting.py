"""A pytest plugin that fails the run if a collected test neither ran nor was skipped with a reason.

A duplicate node id ends the run at once: with `-n`, only one of its tests would run.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

NO_REASON = ("", "unconditional skip")
MAX_LISTED = 10


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Counting(distributed=hasattr(config, "workerinput")))


class Counting:
    """`distributed`: this is a worker of pytest-xdist. Only the main process counts."""

    def __init__(self, *, distributed: bool) -> None:
        self.distributed = distributed
        self.collected: frozenset[str] = frozenset()
        self.ran: set[str] = set()
        self.skipped: set[str] = set()
        self.unexplained: set[str] = set()
        self.stopped = False

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if not self.distributed:
            self.collect([item.nodeid for item in session.items])

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        self.collect(ids)

    def collect(self, ids: Sequence[str]) -> None:
        """Raises UsageError if an id is not unique."""
        repeated = {id: count for id, count in Counter(ids).items() if count > 1}
        if repeated:
            listed = [f"{id} ({count} tests)" for id, count in repeated.items()]
            raise pytest.UsageError(f"Test ids are not unique:\n{_lines(listed)}")
        self.collected = frozenset(ids)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            self.skipped.add(report.nodeid)
            if _reason(report) in NO_REASON:
                self.unexplained.add(report.nodeid)
        elif report.when == "call" or report.failed:
            self.ran.add(report.nodeid)

    @property
    def lost(self) -> frozenset[str]:
        return self.collected - self.ran - self.skipped

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self.stopped = bool(session.shouldstop or session.shouldfail)
        complete = not self.lost and not self.unexplained
        if not self.distributed and not session.config.option.collectonly and not complete:
            session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any, config: pytest.Config) -> None:
        if config.option.collectonly:
            return
        skipped = self.skipped - self.ran
        terminalreporter.write_line(
            f"collected {len(self.collected)} = ran {len(self.ran)} + skipped {len(skipped)}"
            + (f" + lost {len(self.lost)}" if self.lost else ""),
        )
        lost = frozenset() if self.stopped else self.lost
        for title, ids in [("Lost", lost), ("Skipped without a reason", self.unexplained)]:
            if ids:
                terminalreporter.write_line(f"{title}:\n{_lines(sorted(ids))}", red=True)


def _reason(report: pytest.TestReport) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped").removeprefix(": ").strip()


def _lines(texts: Sequence[str]) -> str:
    more = [f"and {len(texts) - MAX_LISTED} more"] if len(texts) > MAX_LISTED else []
    return "\n".join(f"  {text}" for text in [*texts[:MAX_LISTED], *more])
