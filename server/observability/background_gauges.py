"""Metrics of background tasks."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from concurrency.supervisor import Supervisor


class BackgroundGauges(Collector):
    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily(
            "rollcall_background_task_up", "Whether a background task runs.", labels=["task"]
        )
        failures = CounterMetricFamily(
            "rollcall_background_task_failures",
            "How often a background task failed and was restarted.",
            labels=["task"],
        )
        for name, running, failed in self._supervisor.counts():
            up.add_metric([name], running)
            failures.add_metric([name], failed)
        yield from (up, failures)
