"""Ports for servers of a test."""

import secrets
import socket

# Below those that Linux gives to connections by itself (net.ipv4.ip_local_port_range): nobody gets
# one by chance before its server listens, or while that is being started again.
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
