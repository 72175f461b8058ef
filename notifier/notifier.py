"""The background task of alerts: events become deliveries, and deliveries become messages."""

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
    """A channel of the settings, and the addresses that the settings name for it."""

    channel: Channel
    addresses: Collection[str]


class Notifier:
    """`channel_names`: all channels that exist. `language`: of the recipients of the settings.

    Recipients that are no longer in the settings are disabled.
    """

    name = "alerts"
    needed = True

    def __init__(
        self, configured: Sequence[ConfiguredChannel], channel_names: Collection[str], language: str
    ) -> None:
        self._addresses: Mapping[str, Collection[str]] = {
            name: next((each.addresses for each in configured if each.channel.name == name), ())
            for name in channel_names
        }
        self._language = language
        self._sender = Sender([each.channel for each in configured])
        self._fan_out = FanOut(self._sender.wake)

    def wake(self) -> None:
        """Call when events were written."""
        self._fan_out.wake()

    async def run(self, services: Services) -> None:
        """Run until cancelled. Raises Unavailable if the database is unavailable."""
        async with services.database.transaction(background=True) as session:
            for name, addresses in self._addresses.items():
                await recipients.set_from_settings(session, name, addresses, self._language)
        await run_together(self._fan_out.run(services), self._sender.run(services))
