"""How much of the server its clients can take."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BrokerLimits:
    """`packet_bytes`: the largest packet taken, without its fixed header.

    `unsent_bytes`, `unsent_messages`: what a client leaves unread, unacknowledged or unreleased
    before it is cut off. `kept_messages`: for one that is away and comes back to its session,
    the oldest; its session is kept for `session_seconds`. `sessions`: of one user name,
    connected or away. `filters`: of one client.
    """

    connections: int = 5_000
    sessions: int = 20
    filters: int = 1_000
    packet_bytes: int = 65_536
    unsent_bytes: int = 1_048_576
    unsent_messages: int = 1_000
    kept_messages: int = 100
    session_seconds: int = 86_400
    connect_seconds: float = 10
    check_seconds: float = 1
    stop_seconds: float = 3
