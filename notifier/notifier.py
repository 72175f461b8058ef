"""The whole of it, beside the requests: events become notices, and notices messages."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from concurrency.tasks import run_together
from db.alerts import recipients
from notifier.channels.channel import Channel
from notifier.fan_out import FanOut
from notifier.sender import Sending
from resolvers.services import Desk


@dataclass(frozen=True, slots=True)
class Told:
    """By the settings: a channel, and who is told by it always."""

    channel: Channel
    addresses: Collection[str]


class Notifier:
    """`language`: of those whom the settings name. `known`: the names of all channels there are;
    whom the settings name no more is told no more.
    """

    name = "alerts"
    needed = True

    def __init__(self, told: Sequence[Told], known: Collection[str], language: str) -> None:
        self._addresses: Mapping[str, Collection[str]] = {
            name: next((t.addresses for t in told if t.channel.name == name), ()) for name in known
        }
        self._language = language
        self._sending = Sending([each.channel for each in told])
        self._fan_out = FanOut(self._sending.wake)

    def wake(self) -> None:
        """Somebody has written events."""
        self._fan_out.wake()

    async def run(self, desk: Desk) -> None:
        """Until it is cancelled. Raises Unavailable."""
        async with desk.database.begin(own=True) as session:
            for name, addresses in self._addresses.items():
                await recipients.set_from_settings(session, name, addresses, self._language)
        await run_together(self._fan_out.run(desk), self._sending.run(desk))
