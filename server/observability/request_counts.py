"""Counts of HTTP requests and GraphQL operations, and durations of operations, for Prometheus.

All are updated by one thread. prometheus_client's own counters would take a lock for each update.
"""

from bisect import bisect_left
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

# Seconds: 0.5 ms to 10 s.
BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
BOUNDS = (*map(floatToGoString, BUCKETS), "+Inf")


class RequestCounts(Collector):
    """`events`: the number of events sent to subscribers."""

    def __init__(self) -> None:
        self._responses: dict[tuple[str, int], int] = {}
        self.events = 0
        self._outcomes: dict[tuple[str, str], int] = {}
        self._times: dict[str, _Times] = {}

    def http(self, method: str, status: int) -> None:
        key = method, status
        self._responses[key] = self._responses.get(key, 0) + 1

    def graphql(self, operation: str, outcome: str, seconds: float) -> None:
        key = operation, outcome
        self._outcomes[key] = self._outcomes.get(key, 0) + 1
        times = self._times.get(operation)
        if times is None:
            times = self._times[operation] = _Times()
        times.seconds += seconds
        times.counts[bisect_left(BUCKETS, seconds)] += 1

    def collect(self) -> Iterator[Metric]:
        responses = CounterMetricFamily(
            "rollcall_http_requests",
            "HTTP requests. Status 499: the client disconnected before the response.",
            labels=["method", "status"],
        )
        for (method, status), count in self._responses.items():
            responses.add_metric([method, str(status)], count)
        yield responses
        yield CounterMetricFamily(
            "rollcall_live_events", "Events sent to subscribers.", value=self.events
        )
        outcomes = CounterMetricFamily(
            "rollcall_graphql_requests",
            "GraphQL operations by outcome.",
            labels=["operation", "outcome"],
        )
        for key, count in self._outcomes.items():
            outcomes.add_metric(key, count)
        yield outcomes
        seconds = HistogramMetricFamily(
            "rollcall_graphql_request_seconds",
            "Duration of GraphQL operations.",
            labels=["operation"],
        )
        for operation, times in self._times.items():
            seconds.add_metric([operation], times.buckets(), times.seconds)
        yield seconds


class _Times:
    __slots__ = ("counts", "seconds")

    def __init__(self) -> None:
        self.seconds = 0.0
        self.counts = [0] * len(BOUNDS)

    def buckets(self) -> list[tuple[str, float]]:
        """Return cumulative counts by upper bound, as Prometheus requires."""
        total, found = 0, []
        for bound, count in zip(BOUNDS, self.counts, strict=True):
            total += count
            found.append((bound, float(total)))
        return found
