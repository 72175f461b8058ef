"""Writes alerts to the log, if no other channel is set up."""

import logging

from notifier.channels.channel import Message

log = logging.getLogger("rollcall.alerts")


class LogChannel:
    name = "log"

    def pause(self, address: str) -> float:  # noqa: ARG002
        return 0

    async def send(self, address: str, message: Message) -> None:  # noqa: ARG002
        log.info("%s", message.text.replace("\n", " | "))

    async def close(self) -> None:
        pass
