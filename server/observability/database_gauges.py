"""Metrics of the database: whether it is available, its connections, and counts of devices."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from time import monotonic

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import QueuePool

from db.devices.fleet_counts import FleetCounts, fleet_counts
from db.mqtt import outbox
from domain.errors import Unavailable
from resolvers.services import Services

log = logging.getLogger("rollcall.metrics")

# Seconds for which counts are reused.
COUNT_EVERY_SECONDS = 15
# Seconds. Less than the 10 that Prometheus waits.
COUNT_WITHIN_SECONDS = 5


class DatabaseGauges(Collector):
    """Numbers that are not available are omitted, so that no old ones are shown."""

    def __init__(self, services: Callable[[], Services | None]) -> None:
        self._services = services
        self._counting = asyncio.Lock()
        self._counts: FleetCounts | None = None
        self._pending_configs = 0
        self._count_again = 0.0
        self._reached = True

    async def refresh(self) -> None:
        """Count, unless the last counts are recent. Never raises."""
        async with self._counting:
            services = self._services()
            if services is None:
                self._counts, self._count_again = None, 0.0
            elif monotonic() >= self._count_again:
                self._count_again = monotonic() + COUNT_EVERY_SECONDS
                await self._count(services)

    async def _count(self, services: Services) -> None:
        self._counts, self._reached = None, True
        try:
            async with (
                asyncio.timeout(COUNT_WITHIN_SECONDS),
                services.database.transaction() as session,
            ):
                self._counts = await fleet_counts(session)
                self._pending_configs = await outbox.count(session)
        except Unavailable:
            self._reached, self._count_again = False, 0.0
        except TimeoutError:
            log.warning(
                "Counting the devices took over %s s and was given up.", COUNT_WITHIN_SECONDS
            )
        except Exception:
            log.exception("The devices could not be counted.")

    def collect(self) -> Iterator[Metric]:
        services = self._services()
        up = services is not None and self._reached
        yield _gauge("database_up", "Whether the database answers.", up)
        if services is not None:
            yield from _pool(services)
        if services is not None and self._counts is not None:
            yield from _fleet(self._counts)
            text = "Configs that the MQTT broker does not have yet."
            yield _gauge("configs_undelivered", text, self._pending_configs)


def _pool(services: Services) -> Iterator[Metric]:
    pool = services.database.engine.pool
    assert isinstance(pool, QueuePool)  # noqa: S101
    text = "Database connections of the pool."
    connections = GaugeMetricFamily("rollcall_database_pool_connections", text, labels=["state"])
    connections.add_metric(["in_use"], pool.checkedout())
    connections.add_metric(["idle"], pool.checkedin())
    yield connections
    yield _gauge("database_pool_size", "Maximum number of connections of the pool.", pool.size())


def _fleet(counts: FleetCounts) -> Iterator[Metric]:
    devices = GaugeMetricFamily("rollcall_devices", "Devices by state.", labels=["state"])
    for state, count in counts.states.items():
        devices.add_metric([state.value], count)
    yield devices
    yield _gauge("devices_online", "Devices that are online.", counts.online)
    yield _gauge("devices_in_sync", "Devices that run their config.", counts.in_sync)
    text = "Devices that have not applied their config yet, or could not."
    yield _gauge("devices_out_of_sync", text, counts.out_of_sync)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"rollcall_{name}", text, value=value)
