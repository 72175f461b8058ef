"""The web pages GraphiQL and Swagger UI. `make web` builds their files from `web/`."""

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
# These names have no content hash, so browsers have to revalidate them each time.
REVALIDATED = frozenset({PAGE, DOCS, "licences.txt"})

# Not by the mimetypes module: its results depend on the Python version and the machine.
TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".ttf": "font/ttf",
    ".txt": "text/plain",
}
HEADERS = {
    # Monaco creates <style> elements at run time, and its styles contain small images.
    # 'self' includes WebSockets to the same origin.
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}


class Asset:
    """One file of a page, stored compressed. It is sent so to clients that accept gzip."""

    def __init__(self, name: str, sha256: str) -> None:
        self.compressed = (ASSETS / f"{name}.gz").read_bytes()
        self.type = TYPES[Path(name).suffix]
        self.headers = {
            **HEADERS,
            # Weak, because it is the same for both encodings.
            "ETag": f'W/"{sha256[:32]}"',
            "Vary": "Accept-Encoding",
            "Cache-Control": "no-cache"
            if name in REVALIDATED
            else "public, max-age=31536000, immutable",
        }

    def respond(self, request: Request) -> Response:
        if self.headers["ETag"] in _header_values(request, "if-none-match"):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=self.headers)
        if _accepts_gzip(request):
            headers = {**self.headers, "Content-Encoding": "gzip"}
            return Response(self.compressed, headers=headers, media_type=self.type)
        return Response(
            gzip.decompress(self.compressed), headers=self.headers, media_type=self.type
        )


def add_pages(app: FastAPI, welcome: str) -> None:
    """Add `/graphiql` and `/docs`. `/` redirects browsers there; other clients get `welcome`."""
    manifest = json.loads((ASSETS / "manifest.json").read_text())
    assets = {name: Asset(name, entry["sha256"]) for name, entry in manifest.items()}

    async def graphiql(request: Request) -> Response:
        return assets[PAGE].respond(request)

    async def docs(request: Request) -> Response:
        return assets[DOCS].respond(request)

    async def asset(request: Request) -> Response:
        found = assets.get(request.path_params["name"])
        return found.respond(request) if found else PlainTextResponse("Not found.\n", 404)

    async def root(request: Request) -> Response:
        if "text/html" in _header_values(request, "accept"):
            # Relative, for a proxy that adds a path.
            return RedirectResponse("graphiql", headers={"Vary": "Accept"})
        return PlainTextResponse(welcome, headers={"Vary": "Accept"})

    app.add_route("/", root)
    app.add_route("/graphiql", graphiql)
    app.add_route("/docs", docs)
    app.add_route("/graphiql/{name}", asset)


def _accepts_gzip(request: Request) -> bool:
    for coding in request.headers.get("accept-encoding", "").split(","):
        name, _, weight = coding.replace(" ", "").lower().partition(";q=")
        if name in ("gzip", "*"):
            return weight.strip("0.") != "" or weight == ""
    return False


def _header_values(request: Request, header: str) -> list[str]:
    """Return the values of a header such as `a, b;q=0.5`, without parameters."""
    values = request.headers.get(header, "").split(",")
    return [value.partition(";")[0].strip() for value in values]
