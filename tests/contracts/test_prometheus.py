"""What `server/observability/` relies on in prometheus_client, beside its documented names."""

from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from server.observability.request_counts import BUCKETS, RequestCounts

SECONDS = [0.0001, 0.0005, 0.003, 9.9, 11.0]


@pytest.mark.parametrize(
    "accept", ["", "text/plain", "application/openmetrics-text; version=1.0.0"]
)
def test_a_histogram_of_ours_reads_as_one_of_its_own(accept: str) -> None:
    """`request_counts` writes bounds by `floatToGoString`, and counts by itself."""
    own, theirs = CollectorRegistry(), CollectorRegistry()
    counts = RequestCounts()
    own.register(counts)
    name = "rollcall_graphql_request_seconds"
    text = "How long GraphQL operations took."
    histogram = Histogram(name, text, ["operation"], registry=theirs, buckets=BUCKETS)
    for seconds in SECONDS:
        counts.graphql("query me", "ok", seconds)
        histogram.labels("query me").observe(seconds)
    encode, _ = choose_encoder(accept)

    def lines(registry: CollectorRegistry) -> list[str]:
        found = encode(registry).decode().splitlines()
        return [line for line in found if name in line and "_created" not in line]

    assert lines(own) == lines(theirs)
    assert len(lines(own)) > len(BUCKETS)


def test_a_counter_of_ours_reads_as_one_of_its_own() -> None:
    """`request_counts` and `background_gauges`."""
    own, theirs = CollectorRegistry(), CollectorRegistry()
    counter = Counter("some", "Text.", ["a"], registry=theirs)
    counter.labels("b").inc(3)

    class Ours(Collector):
        def collect(self) -> Iterator[Metric]:
            family = CounterMetricFamily("some", "Text.", labels=["a"])
            family.add_metric(["b"], 3)
            yield family

    own.register(Ours())
    encode, _ = choose_encoder("")
    found = encode(theirs).decode().splitlines()
    assert encode(own).decode().splitlines() == [line for line in found if "_created" not in line]


def test_which_format_is_asked_for() -> None:
    """`Metrics.page` in `metrics` answers with it."""
    encode, plain = choose_encoder("")
    _, openmetrics = choose_encoder("application/openmetrics-text; version=1.0.0")
    assert encode(CollectorRegistry()) == b""
    assert plain.startswith("text/plain")
    assert openmetrics.startswith("application/openmetrics-text")
