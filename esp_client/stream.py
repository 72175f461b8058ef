"""A TCP or TLS connection whose reads wait no longer than a given time."""

import errno
import select
import socket

from esp_client import clock

# 2 and 3 are from CPython's TLS, which must first read or write (SSL_ERROR_WANT_READ, _WRITE).
WOULD_BLOCK = (errno.EAGAIN, 2, 3)


class Stream:
    """`timeout`: seconds for connecting, and for each write. `ca`: file with a CA's certificate.

    Raises OSError, or ValueError if TLS has no CA certificate.
    """

    def __init__(self, host: str, port: int, tls: bool, ca: str, timeout: float) -> None:
        self.timeout = timeout
        self.raw = self.socket = connect(host, port, timeout)
        try:
            if tls:
                self.socket = encrypt(self.raw, host, ca)
        except BaseException:
            self.raw.close()
            raise
        # MicroPython's TLS socket lacks these methods; CPython's replaces the raw socket.
        self.receive = self.socket.recv if hasattr(self.socket, "recv") else self.socket.read
        self.send = self.socket.sendall if hasattr(self.socket, "sendall") else self.socket.write
        self.timed = self.socket if hasattr(self.socket, "settimeout") else self.raw

    def some(self, size: int, seconds: float) -> bytes | None:
        """At most `size` bytes, as soon as any arrive; empty at the end of the connection; None if
        none arrive in time.
        """
        start = clock.now()
        while True:
            data = self.ready(size)
            left = seconds - clock.since(start) / 1000
            if data is not None or left <= 0:
                return data
            self.poll(left)

    def poll(self, seconds: float) -> None:
        """Wait until there is data to read."""
        # Windows has no `poll`, some builds of MicroPython no `select`.
        if hasattr(select, "poll"):
            poller = select.poll()
            poller.register(self.socket, select.POLLIN)
            poller.poll(int(seconds * 1000) + 1)
        else:
            select.select([self.socket], [], [], seconds)

    def ready(self, size: int) -> bytes | None:
        # Before every read: ESP32 loses the timeout after one.
        self.socket.setblocking(False)
        try:
            return self.receive(size)
        except OSError as error:
            if error.args[0] not in WOULD_BLOCK:
                raise
            return None

    def write(self, data: bytes) -> None:
        self.timed.settimeout(self.timeout)
        self.send(data)

    def close(self) -> None:
        self.socket.close()


def connect(host: str, port: int, timeout: float) -> socket.socket:
    """Connect to the first address of the host that accepts."""
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


def encrypt(connection: socket.socket, host: str, ca: str) -> socket.socket:
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not ca:
        # Without verification an attacker in the network could read the token.
        raise ValueError("TLS needs a CA certificate: set ca to its file")
    with open(ca, "rb") as file:
        certificate = file.read()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(
        cadata=certificate.decode() if b"-----BEGIN" in certificate else certificate
    )
    return context.wrap_socket(connection, server_hostname=host)
