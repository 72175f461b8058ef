"""The broker's socket."""

import socket

BACKLOG = 1_024
# A peer that is gone without a word is noticed after so long, if it has no keep-alive.
SILENT_SECONDS = 60


class PortTaken(OSError):
    """The broker can't listen there."""


def listen(host: str, port: int) -> socket.socket:
    """Before anything else is started. Port 0: any that is free.

    Raises PortTaken.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind)
    except OSError as error:
        raise PortTaken(error.errno, f"MQTT can't listen on {host}:{port}: {error}") from error
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _notice_the_gone(listening)
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        reason = error.strerror or error
        raise PortTaken(error.errno, f"MQTT can't listen on {host}:{port}: {reason}") from error
    return listening


def _notice_the_gone(listening: socket.socket) -> None:
    """Accepted connections inherit it. Linux only; elsewhere the system's own time-outs hold."""
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENT_SECONDS * 1000)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, SILENT_SECONDS)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, SILENT_SECONDS // 3)
