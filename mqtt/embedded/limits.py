"""Limits of the embedded broker."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BrokerLimits:
    """`connections`: in all. `strangers`: from one address and not authenticated. Both only if the
    broker gets no guard. `packet_bytes`: maximum packet size without the fixed header;
    `connect_bytes`: of the first packet.

    `unsent_bytes`, `unsent_messages`: a client with more unread, unacknowledged or unreleased data
    is disconnected. `queued_messages`: stored for an offline session; newer ones are dropped.
    `session_seconds`: an offline session expires after that. `sessions`: per user name, connected
    or offline. `filters`: per client.
    """

    connections: int = 4_000
    strangers: int = 500
    sessions: int = 20
    filters: int = 1_000
    packet_bytes: int = 65_536
    connect_bytes: int = 16_384
    unsent_bytes: int = 1_048_576
    unsent_messages: int = 1_000
    queued_messages: int = 100
    session_seconds: int = 86_400
    connect_seconds: float = 10
    check_seconds: float = 1
    stop_seconds: float = 3
