"""The embedded broker's listening socket."""

import socket

BACKLOG = 1_024
# Seconds until a dead peer without an MQTT keep-alive is detected.
DEAD_PEER_SECONDS = 60


class PortTaken(OSError):
    """The broker can't listen on this address and port."""


def listen(host: str, port: int) -> socket.socket:
    """Open the socket; call this before anything else is started. Port 0: any free port.

    Raises PortTaken if the address is invalid or in use.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind)
    except OSError as error:
        raise PortTaken(error.errno, f"MQTT can't listen on {host}:{port}: {error}") from error
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _detect_dead_peers(listening)
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        reason = error.strerror or error
        raise PortTaken(error.errno, f"MQTT can't listen on {host}:{port}: {reason}") from error
    return listening


def _detect_dead_peers(listening: socket.socket) -> None:
    """Accepted connections inherit the options. Linux only; other systems use their timeouts."""
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_PEER_SECONDS * 1000)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, DEAD_PEER_SECONDS)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, DEAD_PEER_SECONDS // 3)
