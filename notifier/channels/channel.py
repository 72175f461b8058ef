"""A way to tell somebody, and what can go wrong on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from resolvers.feed.entries import AuditEvent


@dataclass(frozen=True, slots=True)
class Button:
    """Something to press under a message; `data`, up to 64 bytes, says what is wanted then."""

    label: str
    data: str


Buttons = Sequence[Sequence[Button]]
"""In rows."""


@dataclass(frozen=True, slots=True)
class Message:
    """`text` for people, in plain text. `events`: what it is about, for programs; a digest names
    only some of them, and in `text` how many there are. `buttons`, where the channel has any.
    """

    text: str
    events: Sequence[AuditEvent]
    buttons: Buttons = ()


class Failed(Exception):
    """It may work later."""


class Later(Failed):
    """The other side says when: `seconds` from now."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"told to wait for {seconds:g} s")
        self.seconds = seconds


class Moved(Failed):
    """The recipient has another address by now."""

    def __init__(self, address: str) -> None:
        super().__init__(f"it moved to {address}")
        self.address = address


class Unwelcome(Failed):
    """The recipient takes no messages for now, whatever they say."""


class NoTopic(Unwelcome):
    """The topic of a group takes none."""


class Doubtful(Failed):
    """It is refused, and may never be taken: because of the message, or of the recipient."""


class Refused(Exception):
    """The message is not taken, and never will be."""


class Gone(Exception):
    """The recipient takes nothing any more, until it says so."""


class Channel(Protocol):
    """`pause`: seconds between two messages to one address."""

    name: str

    def pause(self, address: str) -> float: ...

    async def send(self, address: str, message: Message) -> None:
        """Returns when the other side has taken it. Raises Failed, Refused or Gone."""

    async def close(self) -> None:
        """Lets go of connections; `send` opens new ones."""
