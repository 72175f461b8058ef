"""An HTTP server with scripted responses, also invalid ones."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.waiting import WAIT_SECONDS


class Scripted:
    def __init__(self) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listening.getsockname()[1]}"
        self.responses: list[bytes] = []
        self.requests: list[bytes] = []
        self.hold_open = False
        self.open: list[socket.socket] = []

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            connection.settimeout(WAIT_SECONDS)
            self.requests.append(request(connection))
            connection.sendall(self.responses.pop(0) if self.responses else b"")
            if self.hold_open:
                self.open.append(connection)
            else:
                connection.close()


def request(connection: socket.socket) -> bytes:
    data = b""
    while True:
        head, separator, body = data.partition(b"\r\n\r\n")
        if separator:
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            if len(body) >= length:
                return data
        chunk = connection.recv(4096)
        if not chunk:
            return data
        data += chunk


@contextmanager
def scripted() -> Iterator[Scripted]:
    server = Scripted()
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.listening.shutdown(socket.SHUT_RDWR)
        server.listening.close()
        for connection in server.open:
            connection.close()
        thread.join(WAIT_SECONDS)


def http(body: bytes, status: str = "200 OK", headers: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body
