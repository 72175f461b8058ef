"""Undocumented behaviour of prometheus_client that `server/observability/` relies on."""

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
def test_request_histogram_has_format_of_library(accept: str) -> None:
    """`request_counts` has its own counters and formats bounds by `floatToGoString`."""
    actual, expected = CollectorRegistry(), CollectorRegistry()
    counts = RequestCounts()
    actual.register(counts)
    name = "rollcall_graphql_request_seconds"
    text = "Duration of GraphQL operations."
    histogram = Histogram(name, text, ["operation"], registry=expected, buckets=BUCKETS)
    for seconds in SECONDS:
        counts.graphql("query me", "ok", seconds)
        histogram.labels("query me").observe(seconds)
    encode, _ = choose_encoder(accept)

    def lines(registry: CollectorRegistry) -> list[str]:
        found = encode(registry).decode().splitlines()
        return [line for line in found if name in line and "_created" not in line]

    assert lines(actual) == lines(expected)
    assert len(lines(actual)) > len(BUCKETS)


def test_counter_family_has_format_of_library() -> None:
    """For `request_counts` and `background_gauges`."""
    actual, expected = CollectorRegistry(), CollectorRegistry()
    counter = Counter("some", "Text.", ["a"], registry=expected)
    counter.labels("b").inc(3)

    class FamilyCollector(Collector):
        def collect(self) -> Iterator[Metric]:
            family = CounterMetricFamily("some", "Text.", labels=["a"])
            family.add_metric(["b"], 3)
            yield family

    actual.register(FamilyCollector())
    encode, _ = choose_encoder("")
    found = encode(expected).decode().splitlines()
    assert encode(actual).decode().splitlines() == [
        line for line in found if "_created" not in line
    ]


def test_encoder_is_chosen_by_accept_header() -> None:
    """`metrics` chooses the response format by it."""
    encode, plain = choose_encoder("")
    _, openmetrics = choose_encoder("application/openmetrics-text; version=1.0.0")
    assert encode(CollectorRegistry()) == b""
    assert plain.startswith("text/plain")
    assert openmetrics.startswith("application/openmetrics-text")
