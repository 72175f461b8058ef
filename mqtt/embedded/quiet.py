"""What amqtt warns of that is nothing to warn of."""

import logging

LATE = ("Received PUB", "PUBACK waiter", "PUBREC waiter", "PUBCOMP waiter", "Timeout waiting for")


def silence_late_ack_warnings() -> None:
    logging.getLogger("amqtt.mqtt.protocol.handler").addFilter(_says_more_than_late)


def _says_more_than_late(record: logging.LogRecord) -> bool:
    """It has a line for each message that a slow client acknowledges late, or not at all."""
    return not str(record.msg).startswith(LATE)
