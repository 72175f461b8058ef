"""A TCP proxy between a device and a broker that a test can disconnect or silence."""

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.support.waiting import WAIT_SECONDS, wait_for


class Proxy:
    """`connections`: count so far. `sent`: bytes from the device. `silent`: drop all data."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.listening.getsockname()[1])
        self.connections = 0
        self.sent = b""
        self.silent = False
        self.pairs: list[tuple[socket.socket, socket.socket]] = []

    def serve(self) -> None:
        while True:
            try:
                near, _ = self.listening.accept()
            except OSError:
                return
            wait_for(self.all_forwarded)
            far = socket.create_connection(("127.0.0.1", self.target))
            self.connections += 1
            self.pairs.append((near, far))
            threading.Thread(target=self._forward, args=(near, far), daemon=True).start()

    def all_forwarded(self) -> bool:
        """Return True if all data and ends of earlier connections were forwarded.

        The broker must see the end of a connection before it sees the next one.
        """
        return not any(_is_readable(near) for near, _ in self.pairs)

    def _forward(self, near: socket.socket, far: socket.socket) -> None:
        try:
            while True:
                for end in select.select([near, far], [], [], WAIT_SECONDS)[0]:
                    data = end.recv(4096)
                    if not data:
                        return
                    if self.silent:
                        continue
                    if end is near:
                        self.sent += data
                    (far if end is near else near).sendall(data)
        except (OSError, ValueError):
            return
        finally:
            near.close()
            far.close()

    def disconnect(self) -> None:
        """Close all connections on both sides, without an MQTT DISCONNECT."""
        for pair in self.pairs:
            for end in pair:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)


def _is_readable(end: socket.socket) -> bool:
    """Return True if there is data or the end of the stream to read."""
    try:
        end.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except OSError:
        return False
    return True


@contextmanager
def tcp_proxy(target: int) -> Iterator[Proxy]:
    proxy = Proxy(target)
    threading.Thread(target=proxy.serve, daemon=True).start()
    try:
        yield proxy
    finally:
        proxy.listening.shutdown(socket.SHUT_RDWR)
        proxy.listening.close()
        proxy.disconnect()
