"""The whole of it, beside the requests: events become deliveries, and deliveries messages."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from concurrency.tasks import run_together
from db.alerts import recipients
from notifier.channels.channel import Channel
from notifier.fan_out import FanOut
from notifier.sender import Sender
from resolvers.services import Services


@dataclass(frozen=True, slots=True)
class ConfiguredChannel:
    """By the settings: a channel, and who is told by it always."""

    channel: Channel
    addresses: Collection[str]


class Notifier:
    """`language`: of those whom the settings name. `known`: the names of all channels there are;
    whom the settings name no more is told no more.
    """

    name = "alerts"
    needed = True

    def __init__(
        self, told: Sequence[ConfiguredChannel], known: Collection[str], language: str
    ) -> None:
        self._addresses: Mapping[str, Collection[str]] = {
            name: next((t.addresses for t in told if t.channel.name == name), ()) for name in known
        }
        self._language = language
        self._sending = Sender([each.channel for each in told])
        self._fan_out = FanOut(self._sending.wake)

    def wake(self) -> None:
        """Somebody has written events."""
        self._fan_out.wake()

    async def run(self, services: Services) -> None:
        """Until it is cancelled. Raises Unavailable."""
        async with services.database.transaction(background=True) as session:
            for name, addresses in self._addresses.items():
                await recipients.set_from_settings(session, name, addresses, self._language)
        await run_together(self._fan_out.run(services), self._sending.run(services))
