"""The pages for people: GraphiQL, and Swagger UI. `make web` makes their files from `web/`."""

import gzip
import json
from http import HTTPStatus
from pathlib import Path

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

ASSETS = Path(__file__).parent / "assets"
PAGE = "graphiql.html"
DOCS = "docs.html"
# These names have no hash of the contents in them: a browser asks each time whether they changed.
CHANGING = frozenset({PAGE, DOCS, "licences.txt"})

# Not from the mimetypes module, which answers by Python version and machine.
TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".ttf": "font/ttf",
    ".txt": "text/plain",
}
HEADERS = {
    # Monaco makes <style> elements as it goes, and has small images inside its styles.
    # A WebSocket to the same origin is 'self' too.
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}


class Asset:
    """One file of a page, kept compressed and sent so to whoever takes it."""

    def __init__(self, name: str, sha256: str) -> None:
        self.compressed = (ASSETS / f"{name}.gz").read_bytes()
        self.type = TYPES[Path(name).suffix]
        self.headers = {
            **HEADERS,
            # Weak: the same for both encodings.
            "ETag": f'W/"{sha256[:32]}"',
            "Vary": "Accept-Encoding",
            "Cache-Control": "no-cache"
            if name in CHANGING
            else "public, max-age=31536000, immutable",
        }

    def answer(self, request: Request) -> Response:
        if self.headers["ETag"] in _listed(request, "if-none-match"):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=self.headers)
        if _takes_gzip(request):
            headers = {**self.headers, "Content-Encoding": "gzip"}
            return Response(self.compressed, headers=headers, media_type=self.type)
        return Response(
            gzip.decompress(self.compressed), headers=self.headers, media_type=self.type
        )


def add_pages(app: FastAPI, welcome: str) -> None:
    """Adds `/graphiql` and `/docs`, and a way there from `/`, where programs get `welcome`."""
    manifest = json.loads((ASSETS / "manifest.json").read_text())
    assets = {name: Asset(name, about["sha256"]) for name, about in manifest.items()}

    async def graphiql(request: Request) -> Response:
        return assets[PAGE].answer(request)

    async def docs(request: Request) -> Response:
        return assets[DOCS].answer(request)

    async def asset(request: Request) -> Response:
        found = assets.get(request.path_params["name"])
        return found.answer(request) if found else PlainTextResponse("Not found.\n", 404)

    async def root(request: Request) -> Response:
        if "text/html" in _listed(request, "accept"):
            # Relative, for a server behind a proxy that adds a path.
            return RedirectResponse("graphiql", headers={"Vary": "Accept"})
        return PlainTextResponse(welcome, headers={"Vary": "Accept"})

    app.add_route("/", root)
    app.add_route("/graphiql", graphiql)
    app.add_route("/docs", docs)
    app.add_route("/graphiql/{name}", asset)


def _takes_gzip(request: Request) -> bool:
    for coding in request.headers.get("accept-encoding", "").split(","):
        name, _, weight = coding.replace(" ", "").lower().partition(";q=")
        if name in ("gzip", "*"):
            return weight.strip("0.") != "" or weight == ""
    return False


def _listed(request: Request, header: str) -> list[str]:
    """The values of a header such as `a, b;q=0.5`, without their parameters."""
    values = request.headers.get(header, "").split(",")
    return [value.partition(";")[0].strip() for value in values]
