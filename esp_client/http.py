"""One POST: bounded in time and in size, whatever the other side does."""

from esp_client import clock
from esp_client.stream import Stream

MAX_BYTES = 4096
CHUNK = 512


class HttpError(Exception):
    """No usable answer: no connection, too slow, too long, or not HTTP."""


class Answer:
    def __init__(self, status: int, retry_after: int, body: bytes) -> None:
        self.status = status
        self.retry_after = retry_after
        self.body = body


def split(url: str) -> tuple:
    """(tls, host, port, path) of an http or https URL; raises ValueError for anything else."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in ("http", "https"):
        raise ValueError("the URL must begin with http:// or https://")
    authority, _, path = rest.partition("/")
    host, _, port = authority.partition(":")
    if not host:
        raise ValueError("the URL has no host")
    return scheme == "https", host, int(port or (443 if scheme == "https" else 80)), "/" + path


def post(url: str, body: bytes, token: str, timeout: float, ca: str) -> Answer:
    """Sends JSON. `timeout`: seconds for all of it. `ca`: file with a CA certificate, for https.

    Raises HttpError.
    """
    tls, host, port, path = split(url)
    lines = [
        # 1.0, so that no server answers in chunks.
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
        raise HttpError(str(error) or "no answer") from error
    finally:
        if stream is not None:
            stream.close()


def receive(stream: Stream, start: int, timeout: float) -> bytes:
    """Everything up to the announced length, or to the end of the connection."""
    data = b""
    while not complete(data):
        left = timeout - clock.since(start) / 1000
        chunk = stream.some(CHUNK, left) if left > 0 else None
        if chunk is None:
            raise HttpError("the answer took too long")
        if not chunk:
            break
        data += chunk
        if len(data) > MAX_BYTES:
            raise HttpError("the answer is too long")
    return data


def complete(data: bytes) -> bool:
    head, separator, body = data.partition(b"\r\n\r\n")
    if not separator:
        return False
    length = header(head, b"content-length")
    return length.isdigit() and len(body) >= int(length)


def header(head: bytes, name: bytes) -> bytes:
    """A header's value; empty where there is none."""
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip()
    return b""


def parse(data: bytes) -> Answer:
    head, separator, body = data.partition(b"\r\n\r\n")
    first = head.split(b"\r\n")[0].split(b" ")
    if not separator or not first[0].startswith(b"HTTP/1.") or len(first) < 2:
        raise HttpError("not an HTTP answer")
    if header(head, b"transfer-encoding"):
        raise HttpError("the answer is in chunks, although HTTP/1.0 was asked for")
    length = header(head, b"content-length")
    if length and len(body) != int(length):
        raise HttpError("the answer was cut off")
    retry_after = header(head, b"retry-after")
    return Answer(int(first[1]), int(retry_after) if retry_after.isdigit() else 0, body)
