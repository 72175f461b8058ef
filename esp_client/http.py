"""One POST request, with limits on time and size."""

from esp_client import clock
from esp_client.stream import Stream

MAX_BYTES = 4096
CHUNK = 512


class HttpError(Exception):
    """No usable response: no connection, too slow, too long, or not HTTP."""


class Response:
    def __init__(self, status: int, retry_after: int, body: bytes) -> None:
        self.status = status
        self.retry_after = retry_after
        self.body = body


def split(url: str) -> tuple:
    """(tls, host, port, path) of an http or https URL. Raises ValueError if it is neither."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in ("http", "https"):
        raise ValueError("the URL must begin with http:// or https://")
    authority, _, path = rest.partition("/")
    host, _, port = authority.partition(":")
    if not host:
        raise ValueError("the URL has no host")
    return scheme == "https", host, int(port or (443 if scheme == "https" else 80)), "/" + path


def post(url: str, body: bytes, token: str, timeout: float, ca: str) -> Response:
    """Send JSON. `timeout`: seconds in all. `ca`: file with a CA certificate, for https.

    Raises HttpError.
    """
    tls, host, port, path = split(url)
    lines = [
        # 1.0, so that the response is not chunked.
        "POST " + path + " HTTP/1.0",
        "Host: " + host + ":" + str(port),
        "Content-Type: application/json",
        "Content-Length: " + str(len(body)),
    ]
    if token:
        lines.append("Authorization: Bearer " + token)
    request = ("\r\n".join(lines) + "\r\n\r\n").encode() + body
    stream = None
    start = clock.now()
    try:
        stream = Stream(host, port, tls, ca, timeout)
        stream.write(request)
        return parse(receive(stream, start, timeout))
    except (OSError, ValueError) as error:
        raise HttpError(str(error) or "no response") from error
    finally:
        if stream is not None:
            stream.close()


def receive(stream: Stream, start: int, timeout: float) -> bytes:
    """Read up to the announced length, or to the end of the connection."""
    data = b""
    while not complete(data):
        left = timeout - clock.since(start) / 1000
        chunk = stream.some(CHUNK, left) if left > 0 else None
        if chunk is None:
            raise HttpError("the response took too long")
        if not chunk:
            break
        data += chunk
        if len(data) > MAX_BYTES:
            raise HttpError("the response is too long")
    return data


def complete(data: bytes) -> bool:
    head, separator, body = data.partition(b"\r\n\r\n")
    if not separator:
        return False
    length = header(head, b"content-length")
    return length.isdigit() and len(body) >= int(length)


def header(head: bytes, name: bytes) -> bytes:
    """A header's value; empty if there is none."""
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip()
    return b""


def parse(data: bytes) -> Response:
    head, separator, body = data.partition(b"\r\n\r\n")
    first = head.split(b"\r\n")[0].split(b" ")
    if not separator or not first[0].startswith(b"HTTP/1.") or len(first) < 2:
        raise HttpError("not an HTTP response")
    if header(head, b"transfer-encoding"):
        raise HttpError("the response to HTTP/1.0 is chunked")
    length = header(head, b"content-length")
    if length and len(body) != int(length):
        raise HttpError("the response was cut off")
    retry_after = header(head, b"retry-after")
    return Response(int(first[1]), int(retry_after) if retry_after.isdigit() else 0, body)
