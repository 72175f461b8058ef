"""The metrics for Prometheus."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from db.postgres.database import Database
from resolvers.services import Services
from server.observability import database_gauges
from server.observability.metrics import Metrics, metrics_endpoint
from server.settings import Settings
from tests.conftest import changed, served
from tests.support.client import Api
from tests.support.ports import free_port

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(text: str) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float | None:
    return found.get((f"rollcall_{name}", frozenset(labels.items())))


def names(found: Samples) -> set[str]:
    return {name for name, _ in found}


async def scrape(api: Api) -> Samples:
    response = await api.http.get("/metrics")
    assert response.status_code == 200
    return samples(response.text)


async def page(metrics: Metrics) -> Samples:
    return samples(bytes((await metrics.page("")).body).decode())


def without_database() -> Metrics:
    return Metrics(lambda: None)


async def test_format_follows_accept_header(api: Api) -> None:
    plain = await api.http.get("/metrics")
    assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
    accept = "application/openmetrics-text; version=1.0.0"
    open_format = await api.http.get("/metrics", headers={"Accept": accept})
    assert open_format.headers["content-type"].startswith(accept)
    assert "rollcall_devices" in {family.name for family in open_metrics(open_format.text)}


async def test_process_platform_and_build_metrics(api: Api) -> None:
    found = await scrape(api)
    assert {
        "process_resident_memory_bytes",
        "python_info",
        "python_gc_collections_total",
    } <= names(found)
    assert value(found, "build_info", version="0.1.0") == 1


async def test_device_counts_by_state_presence_and_sync(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_gauges, "COUNT_EVERY_SECONDS", 0)
    async with served(changed(settings, enrolment="approve")) as api:
        found = await scrape(api)
        for state in ("pending", "active", "rejected"):
            assert value(found, "devices", state=state) == 0
        key = await api.key()
        for number in range(3):
            await api.register(key, mac=f"24:6f:28:aa:bb:0{number}")
        id = (await api.ask("{ devices { nodes { id } } }"))["devices"]["nodes"][0]["id"]
        assert (await api.change("approveDevice", id=id))["errors"] == []
        applied = "online = true, applied_version = config_version"
        await sql(settings, f"UPDATE devices SET {applied} WHERE id = '{id}'")
        found = await scrape(api)
    assert value(found, "devices", state="pending") == 2
    assert value(found, "devices", state="active") == 1
    assert value(found, "devices", state="rejected") == 0
    assert value(found, "devices_online") == 1
    assert value(found, "devices_in_sync") == 1
    assert value(found, "devices_out_of_sync") == 2


async def sql(settings: Settings, statement: str) -> None:
    connection = await asyncpg.connect(settings.database_url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def test_device_counts_are_cached(api: Api) -> None:
    before = await scrape(api)
    await api.register(await api.key())
    assert value(before, "devices", state="active") == 0
    assert value(await scrape(api), "devices", state="active") == 0


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A list that gets an entry for each count of the devices."""
    counted = []
    count = database_gauges.fleet_counts

    async def recorded(session: Any) -> Any:
        counted.append(session)
        return await count(session)

    monkeypatch.setattr(database_gauges, "fleet_counts", recorded)
    return counted


async def test_concurrent_scrapes_count_once(database: Database, counted: list[Any]) -> None:
    services = Services.for_database(database)
    metrics = Metrics(lambda: services)
    pages = await asyncio.gather(*(page(metrics) for _ in range(5)))
    assert [value(found, "devices", state="active") for found in pages] == [0] * 5
    assert len(counted) == 1


async def test_database_pool_metrics(database: Database) -> None:
    services = Services.for_database(database)
    metrics = Metrics(lambda: services)
    await page(metrics)
    async with database.transaction() as session:
        await session.connection()
        found = await page(metrics)
    assert value(found, "database_up") == 1
    assert value(found, "database_pool_connections", state="in_use") == 1
    assert value(found, "database_pool_connections", state="idle") == 0
    assert value(found, "database_pool_size") == 16
    found = await page(metrics)
    assert value(found, "database_pool_connections", state="in_use") == 0
    assert value(found, "database_pool_connections", state="idle") == 1


async def test_connection_of_database_supervisor_is_not_counted(api: Api) -> None:
    found = await scrape(api)
    assert value(found, "database_pool_connections", state="in_use") == 0


async def test_unavailable_database_removes_its_metrics(
    database: Database, counted: list[Any]
) -> None:
    services: Services | None = Services.for_database(database)
    metrics = Metrics(lambda: services)
    assert value(await page(metrics), "devices", state="active") == 0
    services = None
    found = await page(metrics)
    assert value(found, "database_up") == 0
    database_metrics = {
        "rollcall_devices",
        "rollcall_devices_online",
        "rollcall_database_pool_size",
    }
    assert not database_metrics & names(found)
    services = Services.for_database(database)
    found = await page(metrics)
    assert value(found, "database_up") == 1
    assert database_metrics <= names(found)
    assert len(counted) == 2


async def test_database_that_fails_during_the_scrape() -> None:
    absent = Database(f"postgresql://rollcall@127.0.0.1:{free_port()}/none")
    services = Services.for_database(absent)
    found = await page(Metrics(lambda: services))
    assert value(found, "database_up") == 0
    assert "rollcall_devices" not in names(found)


@pytest.mark.parametrize("error", [ZeroDivisionError, TimeoutError])
async def test_failed_count_is_omitted(
    database: Database, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    async def fail(_: Any) -> None:
        raise error

    monkeypatch.setattr(database_gauges, "fleet_counts", fail)
    services = Services.for_database(database)
    found = await page(Metrics(lambda: services))
    assert "rollcall_devices" not in names(found)
    assert value(found, "database_pool_size") == 16


async def test_slow_count_times_out(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def hang(_: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(database_gauges, "fleet_counts", hang)
    monkeypatch.setattr(database_gauges, "COUNT_WITHIN_SECONDS", 0.05)
    services = Services.for_database(database)
    found = await page(Metrics(lambda: services))
    assert value(found, "database_up") == 1
    assert "rollcall_devices" not in names(found)
    assert "given up" in caplog.text


async def test_graphql_request_counts_and_durations() -> None:
    metrics = without_database()
    for seconds, outcome in ((0.0004, "ok"), (0.02, "ok"), (20, "INTERNAL")):
        metrics.graphql("query devices", outcome, seconds)
    found = await page(metrics)
    operation = {"operation": "query devices"}
    assert value(found, "graphql_requests_total", outcome="ok", **operation) == 2
    assert value(found, "graphql_requests_total", outcome="INTERNAL", **operation) == 1
    seconds = {
        limit: value(found, "graphql_request_seconds_bucket", le=limit, **operation)
        for limit in ("0.0005", "0.01", "0.025", "10.0", "+Inf")
    }
    assert seconds == {"0.0005": 1, "0.01": 1, "0.025": 2, "10.0": 2, "+Inf": 3}
    assert value(found, "graphql_request_seconds_sum", **operation) == pytest.approx(20.0204)


async def test_http_request_counts(api: Api) -> None:
    await api.http.get("/healthz")
    await api.http.get("/nowhere")
    await api.post("{ me { id } }", "no-such-token")
    await api.http.request("MAKEUP", "/graphql")
    found = await scrape(api)
    assert value(found, "http_requests_total", method="GET", status="200") == 1
    assert value(found, "http_requests_total", method="GET", status="404") == 1
    assert value(found, "http_requests_total", method="POST", status="401") == 1
    assert value(found, "http_requests_total", method="other", status="405") == 1


async def test_live_connection_metrics() -> None:
    metrics = without_database()
    for protocol in ("websocket", "sse"):
        assert value(await page(metrics), "live_connections", protocol=protocol) == 0
    metrics.connection_opened("websocket")
    metrics.connection_opened("websocket")
    metrics.connection_closed("websocket")
    metrics.connection_opened("sse")
    metrics.subscription_started()
    metrics.subscription_started()
    metrics.subscription_ended()
    metrics.events_sent(7)
    metrics.cut_off("slow")
    found = await page(metrics)
    assert value(found, "live_connections", protocol="websocket") == 1
    assert value(found, "live_connections", protocol="sse") == 1
    assert value(found, "live_subscriptions") == 1
    assert value(found, "live_events_total") == 7
    assert value(found, "live_cut_off_total", reason="slow") == 1


async def test_metrics_are_per_application() -> None:
    one, other = without_database(), without_database()
    one.events_sent()
    assert value(await page(other), "live_events_total") == 0


async def reject(_: Request) -> Response | None:
    return PlainTextResponse("not you", 401)


async def accept(_: Request) -> Response | None:
    return None


@pytest.mark.parametrize(("allowed", "status"), [(reject, 401), (accept, 200)])
async def test_metrics_endpoint_checks_access(
    allowed: Callable[[Request], Awaitable[Response | None]], status: int
) -> None:
    api = Api(
        Starlette(routes=[Route("/metrics", metrics_endpoint(without_database(), allowed))]), ""
    )
    response = await api.http.get("/metrics")
    await api.close()
    assert response.status_code == status
    assert ("rollcall_database_up" in response.text) is (status == 200)
