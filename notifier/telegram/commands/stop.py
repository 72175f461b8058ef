"""Leaving."""

from notifier.telegram.updates.chat import ChatContext
from resolvers.alerts.chats import leave


async def stop(context: ChatContext, _: str) -> None:
    """A chat that the settings name is told always; it can be muted."""
    left = await leave(context.services, context.caller, context.address)
    await context.say(context.word("stopped" if left else "in_settings"))
