"""Silences amqtt warnings that are no problem."""

import logging

LATE_ACK_PREFIXES = (
    "Received PUB",
    "PUBACK waiter",
    "PUBREC waiter",
    "PUBCOMP waiter",
    "Timeout waiting for",
)


def silence_late_ack_warnings() -> None:
    logging.getLogger("amqtt.mqtt.protocol.handler").addFilter(_is_not_late_ack)


def _is_not_late_ack(record: logging.LogRecord) -> bool:
    """The library logs a line for each message that a slow client acknowledges late or never."""
    return not str(record.msg).startswith(LATE_ACK_PREFIXES)
