"""A wire between a device and a broker, that a test can cut or let go dead."""

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.support.waiting import WAIT_SECONDS, wait_for


class Wire:
    """`connections`: how many there have been. `sent`: what the device sent over all of them."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.listening.getsockname()[1])
        self.connections = 0
        self.sent = b""
        self.dead = False
        self.pairs: list[tuple[socket.socket, socket.socket]] = []

    def serve(self) -> None:
        while True:
            try:
                near, _ = self.listening.accept()
            except OSError:
                return
            wait_for(self.settled)
            far = socket.create_connection(("127.0.0.1", self.target))
            self.connections += 1
            self.pairs.append((near, far))
            threading.Thread(target=self.carry, args=(near, far), daemon=True).start()

    def settled(self) -> bool:
        """Whether all has arrived that was sent over earlier connections, their ends too: the
        broker has to learn that a device has left before it hears that it is back.
        """
        return not any(_holds(near) for near, _ in self.pairs)

    def carry(self, near: socket.socket, far: socket.socket) -> None:
        try:
            while True:
                for end in select.select([near, far], [], [], WAIT_SECONDS)[0]:
                    data = end.recv(4096)
                    if not data:
                        return
                    if self.dead:
                        continue
                    if end is near:
                        self.sent += data
                    (far if end is near else near).sendall(data)
        except (OSError, ValueError):
            return
        finally:
            near.close()
            far.close()

    def cut(self) -> None:
        """Both ends see the connection closed, without any farewell."""
        for pair in self.pairs:
            for end in pair:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)


def _holds(end: socket.socket) -> bool:
    """Whether there is something to be read, or the end."""
    try:
        end.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except OSError:
        return False
    return True


@contextmanager
def wire(target: int) -> Iterator[Wire]:
    between = Wire(target)
    threading.Thread(target=between.serve, daemon=True).start()
    try:
        yield between
    finally:
        between.listening.shutdown(socket.SHUT_RDWR)
        between.listening.close()
        between.cut()
