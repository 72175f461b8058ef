"""The interface of a channel that sends alerts, and its errors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from resolvers.feed.entries import AuditEvent


@dataclass(frozen=True, slots=True)
class Button:
    """A button under a message. `data`, up to 64 bytes, comes back when it is pressed."""

    label: str
    data: str


Buttons = Sequence[Sequence[Button]]
"""Rows of buttons."""


@dataclass(frozen=True, slots=True)
class Message:
    """`text`: plain text for people. `events`: for programs; a digest has only the first few, and
    the number of all in `text`. `buttons`: for channels that support them.
    """

    text: str
    events: Sequence[AuditEvent]
    buttons: Buttons = ()


class TemporaryFailure(Exception):
    """Sending failed and may succeed later."""


class RetryLater(TemporaryFailure):
    """The other side asks to wait: `seconds` from now."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"it asks to wait for {seconds:g} s")
        self.seconds = seconds


class Moved(TemporaryFailure):
    """The recipient has a new address."""

    def __init__(self, address: str) -> None:
        super().__init__(f"it moved to {address}")
        self.address = address


class WriteForbidden(TemporaryFailure):
    """The recipient accepts no messages of any content for now."""


class NoTopic(WriteForbidden):
    """The topic of a group is closed or deleted."""


class UnclearRefusal(TemporaryFailure):
    """Refused, possibly for good: because of the message or of the recipient."""


class Refused(Exception):
    """The message is refused for good."""


class RecipientGone(Exception):
    """The recipient is unavailable until it comes back by itself, for example with /start."""


class Channel(Protocol):
    """`pause`: minimum seconds between two messages to one address."""

    name: str

    def pause(self, address: str) -> float: ...

    async def send(self, address: str, message: Message) -> None:
        """Send, and return when the other side has accepted it. Raises Failed, Refused or Gone."""

    async def close(self) -> None:
        """Close connections. `send` opens new ones."""
