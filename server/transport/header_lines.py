"""Encodes headers of responses that do not go through ASGI."""

from collections.abc import Sequence

Headers = Sequence[tuple[bytes, bytes]]


def header_line(name: str, value: str) -> bytes:
    # `send_response` adds the header by `keep_alive`.
    if name == "Connection":
        return b""
    return f"{name.lower()}: {value}\r\n".encode("latin-1")


class DefaultLines:
    """Encodes the headers of every response. uvicorn replaces them each second, for the date."""

    def __init__(self) -> None:
        self._headers: Headers = ()
        self._lines = b""

    def encode(self, headers: Headers) -> bytes:
        if headers is not self._headers:
            self._headers = headers
            self._lines = b"".join(b"%b: %b\r\n" % header for header in headers)
        return self._lines
