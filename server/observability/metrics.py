"""Metrics for Prometheus, and the page `/metrics`.

Each application has its own registry. Clients can't create unlimited values of a label.
"""

from collections.abc import Awaitable, Callable
from http import HTTPMethod
from importlib.metadata import version

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Info,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import Response

from concurrency.supervisor import Supervisor
from resolvers.services import Services
from server.observability.background_gauges import BackgroundGauges
from server.observability.database_gauges import DatabaseGauges
from server.observability.request_counts import RequestCounts

METHODS = frozenset(HTTPMethod)

Allowed = Callable[[Request], Awaitable[Response | None]]


class Metrics:
    """`services` returns None while the database is not available.

    `broker` returns whether the MQTT client is connected. It is None if MQTT is off.
    """

    def __init__(
        self,
        services: Callable[[], Services | None],
        broker: Callable[[], bool] | None = None,
        supervisor: Supervisor | None = None,
    ) -> None:
        self.registry = registry = CollectorRegistry()
        self._database = DatabaseGauges(services)
        registry.register(self._database)
        if supervisor:
            registry.register(BackgroundGauges(supervisor))
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        build = Info("rollcall_build", "The version of Rollcall.", registry=registry)
        build.info({"version": version("rollcall")})

        self._requests = RequestCounts()
        registry.register(self._requests)
        self._connections = Gauge(
            "rollcall_live_connections",
            "Open connections for subscriptions.",
            ["protocol"],
            registry=registry,
        )
        self._subscriptions = Gauge(
            "rollcall_live_subscriptions", "Running subscriptions.", registry=registry
        )
        self._cut_off = Counter(
            "rollcall_live_cut_off",
            "Subscriptions that the server has ended.",
            ["reason"],
            registry=registry,
        )
        if broker:
            text = "1 if the MQTT client is connected. 0 also while the database is not available."
            Gauge("rollcall_mqtt_up", text, registry=registry).set_function(broker)
        for protocol in ("websocket", "sse"):
            self._connections.labels(protocol)

    def graphql(self, operation: str, outcome: str, seconds: float) -> None:
        """Count an operation.

        `operation`: its type and first field, such as `query devices`, if the schema has the field.
        `outcome`: ok, refused, failed or the code of an error.
        """
        self._requests.graphql(operation, outcome, seconds)

    def http(self, method: str, status: int) -> None:
        self._requests.http(method if method in METHODS else "other", status)

    def connection_opened(self, protocol: str) -> None:
        """`protocol`: websocket or sse."""
        self._connections.labels(protocol).inc()

    def connection_closed(self, protocol: str) -> None:
        self._connections.labels(protocol).dec()

    def subscription_started(self) -> None:
        self._subscriptions.inc()

    def subscription_ended(self) -> None:
        self._subscriptions.dec()

    def events_sent(self, count: int = 1) -> None:
        self._requests.events += count

    def cut_off(self, reason: str) -> None:
        """Count a subscription that the server ended. `reason`: a fixed word, such as `slow`."""
        self._cut_off.labels(reason).inc()

    async def page(self, accept: str) -> Response:
        """Respond in the format that the header `Accept` requests."""
        await self._database.refresh()
        encode, content_type = choose_encoder(accept)
        return Response(encode(self.registry), headers={"Content-Type": content_type})


def metrics_endpoint(
    metrics: Metrics, allowed: Allowed | None = None
) -> Callable[[Request], Awaitable[Response]]:
    """Create the route `/metrics`. A response that `allowed` returns is sent instead of metrics."""

    async def endpoint(request: Request) -> Response:
        refusal = await allowed(request) if allowed else None
        return refusal or await metrics.page(request.headers.get("accept", ""))

    return endpoint
