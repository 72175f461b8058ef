"""Leaving."""

from notifier.telegram.updates.chat import Talk
from resolvers.alerts.chats import leave


async def stop(talk: Talk, _: str) -> None:
    """A chat that the settings name is told always; it can be muted."""
    left = await leave(talk.desk, talk.caller, talk.address)
    await talk.say(talk.word("stopped" if left else "in_settings"))
