"""A TCP or TLS connection that never makes its reader wait longer than asked for."""

import errno
import select
import socket

from esp_client import clock

# The latter two are what CPython's TLS says: it wants to read, or to write, first.
NOTHING_YET = (errno.EAGAIN, 2, 3)


class Stream:
    """`timeout`: seconds for connecting, and for each write. `ca`: file with a CA's certificate.

    Raises OSError, or ValueError where there is no certificate to trust.
    """

    def __init__(self, host: str, port: int, tls: bool, ca: str, timeout: float) -> None:
        self.timeout = timeout
        self.raw = self.socket = connected(host, port, timeout)
        try:
            if tls:
                self.socket = encrypted(self.raw, host, ca)
        except BaseException:
            self.raw.close()
            raise
        # MicroPython's TLS has neither of these; CPython's takes the socket over.
        self.receive = self.socket.recv if hasattr(self.socket, "recv") else self.socket.read
        self.send = self.socket.sendall if hasattr(self.socket, "sendall") else self.socket.write
        self.timed = self.socket if hasattr(self.socket, "settimeout") else self.raw

    def some(self, size: int, seconds: float) -> bytes | None:
        """At most `size` bytes, as soon as there are any; empty at the end of the connection; None
        where nothing arrives in time.
        """
        start = clock.now()
        while True:
            data = self.ready(size)
            left = seconds - clock.since(start) / 1000
            if data is not None or left <= 0:
                return data
            self.poll(left)

    def poll(self, seconds: float) -> None:
        """Waits for something to read."""
        # The one is missing from Windows, the other from some builds of MicroPython.
        if hasattr(select, "poll"):
            poller = select.poll()
            poller.register(self.socket, select.POLLIN)
            poller.poll(int(seconds * 1000) + 1)
        else:
            select.select([self.socket], [], [], seconds)

    def ready(self, size: int) -> bytes | None:
        # Before every read: on ESP32 a time-out is gone after one.
        self.socket.setblocking(False)
        try:
            return self.receive(size)
        except OSError as error:
            if error.args[0] not in NOTHING_YET:
                raise
            return None

    def write(self, data: bytes) -> None:
        self.timed.settimeout(self.timeout)
        self.send(data)

    def close(self) -> None:
        self.socket.close()


def connected(host: str, port: int, timeout: float) -> socket.socket:
    """To the first of the host's addresses that answers."""
    problem: Exception = OSError("no address")
    for address in socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM):
        connection = socket.socket(address[0], socket.SOCK_STREAM)
        try:
            connection.settimeout(timeout)
            connection.connect(address[-1])
            return connection
        except OSError as error:
            connection.close()
            problem = error
    raise problem


def encrypted(connection: socket.socket, host: str, ca: str) -> socket.socket:
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not ca:
        # Without it anybody on the way could read the token.
        raise ValueError("TLS needs the file of a CA certificate")
    with open(ca, "rb") as file:
        certificate = file.read()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(
        cadata=certificate.decode() if b"-----BEGIN" in certificate else certificate
    )
    return context.wrap_socket(connection, server_hostname=host)
