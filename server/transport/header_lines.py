"""Encodes responses, or parts of them, that do not go through ASGI."""

from collections.abc import Sequence
from http import HTTPStatus

from server.graphql.endpoint import EncodedResponse
from server.graphql.request import GRAPHQL
from server.http.body import JSON
from server.http.default_headers import NO_SNIFF, NO_STORE
from server.observability.access_log import HEADER

Headers = Sequence[tuple[bytes, bytes]]

NO_SNIFF_LINE, NO_STORE_LINE = (b"%b: %b\r\n" % header for header in (NO_SNIFF, NO_STORE))


def _pattern(media: str) -> bytes:
    """Return a pattern for the length of the body and the id of the request."""
    content_type = f"content-type: {media}; charset=utf-8\r\n".encode()
    return b"%b%bcontent-length: %%d\r\n%b: %%b\r\n" % (content_type, NO_SNIFF_LINE, HEADER)


NOT_STORED = {media: NO_STORE_LINE + _pattern(media) for media in (JSON, GRAPHQL)}
# For responses with their own Cache-Control.
PATTERNS = {media: _pattern(media) for media in (JSON, GRAPHQL)}


def response_lines(response: EncodedResponse, id: bytes) -> bytes:
    """Encode the headers of a response, except those of CORS. `id`: of the request."""
    headers = response.headers
    if not headers:
        return NOT_STORED[response.media] % (len(response.body), id)
    own = b"".join(_line(name, value) for name, value in headers.items())
    patterns = PATTERNS if "Cache-Control" in headers else NOT_STORED
    return patterns[response.media] % (len(response.body), id) + own


def _line(name: str, value: str) -> bytes:
    # `send_response` adds the header by `keep_alive`.
    if name == "Connection":
        return b""
    return f"{name.lower()}: {value}\r\n".encode("latin-1")


def refusal(status: HTTPStatus, text: str, headers: Headers) -> bytes:
    """Encode the response to a request that is not valid HTTP. The connection closes after it.

    `headers`: uvicorn's headers of every response.
    """
    body = text.encode()
    own = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
    ]
    lines = b"".join(b"%b: %b\r\n" % header for header in (*headers, NO_SNIFF, NO_STORE, *own))
    return b"HTTP/1.1 %d %b\r\n%b\r\n%b" % (status, status.phrase.encode(), lines, body)


class DefaultLines:
    """Encodes uvicorn's headers of every response. They are replaced each second, for the date."""

    def __init__(self) -> None:
        self._headers: Headers = ()
        self._lines = b""

    def encode(self, headers: Headers) -> bytes:
        if headers is not self._headers:
            self._headers = headers
            self._lines = b"".join(b"%b: %b\r\n" % header for header in headers)
        return self._lines
