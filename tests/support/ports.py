"""Free ports for the servers of a test."""

import secrets
import socket

# Below the range of Linux for outgoing connections (net.ipv4.ip_local_port_range): no connection
# can take the port before its server listens or while that server restarts.
FIRST, END = 10_000, 32_000


def free_port() -> int:
    while True:
        port = FIRST + secrets.randbelow(END - FIRST)
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
        return port
