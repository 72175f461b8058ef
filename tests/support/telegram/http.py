"""HTTP/1.1 for Telegram clients, with responses that may be dropped."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import HTTP
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import h11

# Bytes. 4096 emoji in a query string are 48 KiB.
HEAD_BYTES = 256 * 1024


@dataclass(frozen=True)
class Request:
    """`parameters`: from the query string and the body. JSON values other than strings are kept as
    JSON text.
    """

    path: str
    parameters: dict[str, str]


@dataclass(frozen=True)
class Response:
    """`date`: Unix time for the header. `dropped`: close the connection without a response."""

    status: int
    body: bytes
    content_type: str = "application/json"
    date: float | None = field(default=None, kw_only=True)
    dropped: bool = field(default=False, kw_only=True)


DROPPED = Response(0, b"", dropped=True)


def ok(result: Any) -> Response:
    return Response(200, json.dumps({"ok": True, "result": result}).encode())


async def serve(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    handle: Callable[[Request], Awaitable[Response]],
) -> None:
    """Serve one connection until it closes."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES)
    try:
        while request := await _read(connection, reader):
            response = await handle(request)
            if response.dropped:
                writer.transport.abort()
                return
            writer.write(_serialize(connection, response))
            await writer.drain()
            if connection.our_state is h11.MUST_CLOSE:
                return
            connection.start_next_cycle()
    except (OSError, h11.RemoteProtocolError):
        return
    except asyncio.CancelledError:
        writer.transport.abort()
        raise
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def _read(connection: h11.Connection, reader: asyncio.StreamReader) -> Request | None:
    head: h11.Request | None = None
    body = bytearray()
    while True:
        match connection.next_event():
            case h11.NEED_DATA:
                connection.receive_data(await reader.read(65536))
            case h11.Request() as request:
                head = request
            case h11.Data(data=data):
                body += data
            case h11.EndOfMessage() if head:
                return _request(head, bytes(body))
            case _:
                return None


def _request(head: h11.Request, body: bytes) -> Request:
    target = urlsplit(head.target.decode("ascii"))
    content_type = dict(head.headers).get(b"content-type", b"").decode("latin-1")
    parameters = dict(parse_qsl(target.query, keep_blank_values=True))
    return Request(unquote(target.path), parameters | _body_parameters(content_type, body))


def _body_parameters(content_type: str, body: bytes) -> dict[str, str]:
    match content_type.partition(";")[0].strip().lower():
        case "application/json" if body:
            return {
                name: value if isinstance(value, str) else json.dumps(value)
                for name, value in json.loads(body).items()
            }
        case "application/x-www-form-urlencoded":
            return dict(parse_qsl(body.decode(), keep_blank_values=True))
        case "multipart/form-data":
            return _form_fields(content_type, body)
    return {}


def _form_fields(content_type: str, body: bytes) -> dict[str, str]:
    form = BytesParser(EmailMessage, policy=HTTP).parsebytes(
        b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body
    )
    return {
        str(part.get_param("name", header="content-disposition")): bytes(
            part.get_payload(decode=True)
        ).decode(errors="replace")
        for part in form.iter_parts()
    }


def _serialize(connection: h11.Connection, response: Response) -> bytes:
    headers = [
        ("Content-Type", response.content_type),
        ("Content-Length", str(len(response.body))),
    ]
    if response.date is not None:
        headers.append(("Date", formatdate(response.date, usegmt=True)))
    head = h11.Response(status_code=response.status, headers=headers)
    events = (head, h11.Data(data=response.body), h11.EndOfMessage())
    return b"".join(connection.send(event) or b"" for event in events)
