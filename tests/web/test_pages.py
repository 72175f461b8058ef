"""The pages over HTTP: encodings, caching and security headers."""

import re
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from server.app import create_app
from server.settings import Settings

PAGE = "/graphiql"


@pytest_asyncio.fixture
async def http(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(settings))
    async with httpx.AsyncClient(transport=transport, base_url="http://rollcall.test") as client:
        yield client


async def assets(http: httpx.AsyncClient) -> list[str]:
    return re.findall(r'(?:src|href)="(graphiql/[^"]+)"', (await http.get(PAGE)).text)


async def test_root_redirects_browsers_and_sends_text_to_programs(http: httpx.AsyncClient) -> None:
    browser = await http.get("/", headers={"Accept": "text/html,application/xml;q=0.9,*/*;q=0.8"})
    assert (browser.status_code, browser.headers["location"]) == (307, "graphiql")
    program = await http.get("/")
    assert program.headers["content-type"] == "text/plain; charset=utf-8"
    assert "/graphql" in program.text
    assert browser.headers["vary"] == program.headers["vary"] == "Accept"


async def test_linked_assets_exist_and_are_cached_immutably(http: httpx.AsyncClient) -> None:
    linked = await assets(http)
    assert {name.rpartition(".")[2] for name in linked} == {"css", "js", "svg"}
    for name in linked:
        response = await http.get(f"/{name}")
        assert response.status_code == 200, name
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
    types = {name: (await http.get(f"/{name}")).headers["content-type"] for name in linked}
    assert {(name.rpartition(".")[2], type) for name, type in types.items()} == {
        ("css", "text/css; charset=utf-8"),
        ("js", "text/javascript; charset=utf-8"),
        ("svg", "image/svg+xml"),
    }


async def test_swagger_ui_uses_only_local_assets(http: httpx.AsyncClient) -> None:
    page = await http.get("/docs")
    linked = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert {name.rpartition(".")[2] for name in linked} == {"css", "js", "svg"}
    for name in linked:
        assert (await http.get(f"/{name}")).status_code == 200, name
    assert page.headers["content-security-policy"].startswith("default-src 'self'")


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip, deflate, br", "gzip"),
        ("*", "gzip"),
        ("gzip;q=0.5", "gzip"),
        ("br, gzip;q=0", None),
        ("identity", None),
        ("", None),
    ],
)
async def test_page_is_compressed_if_accepted(
    accepted: str, encoding: str | None, http: httpx.AsyncClient
) -> None:
    response = await http.get(PAGE, headers={"Accept-Encoding": accepted})
    assert response.headers.get("content-encoding") == encoding
    assert response.headers["vary"] == "Accept-Encoding"
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "<title>Rollcall</title>" in response.text


async def test_matching_etag_is_304(http: httpx.AsyncClient) -> None:
    first = await http.get(PAGE)
    assert first.headers["cache-control"] == "no-cache"
    tag = first.headers["etag"]
    again = await http.get(PAGE, headers={"If-None-Match": f'"other", {tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    changed = await http.get(PAGE, headers={"If-None-Match": '"other"'})
    assert changed.status_code == 200


async def test_security_headers_forbid_other_origins(http: httpx.AsyncClient) -> None:
    for name in ("graphiql", *await assets(http)):
        headers = (await http.get(f"/{name}")).headers
        policy = dict(
            rule.strip().split(" ", 1) for rule in headers["content-security-policy"].split(";")
        )
        assert policy["default-src"] == "'self'"
        assert policy["frame-ancestors"] == "'none'"
        assert "script-src" not in policy
        assert not re.search(r"https?:|\*|unsafe-eval", headers["content-security-policy"])
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("name", ["missing.js", "..%2fapp.py", "manifest.json", "graphiql.html.gz"])
async def test_unknown_asset_is_404(name: str, http: httpx.AsyncClient) -> None:
    assert (await http.get(f"{PAGE}/{name}")).status_code == 404


async def test_licences_of_bundled_packages_are_served(http: httpx.AsyncClient) -> None:
    licences = (await http.get(f"{PAGE}/licences.txt")).text
    for package in ("graphiql 5.", "monaco-editor 0.", "react 19.", "graphql-ws 6."):
        assert f"\n{package}" in licences
