"""The command that ends all alerts of a chat."""

from notifier.telegram.updates.chat import ChatContext
from resolvers.alerts.chats import leave


async def stop(context: ChatContext, _: str) -> None:
    """End the alerts. A chat of the settings can only be muted."""
    left = await leave(context.services, context.caller, context.address)
    await context.send(context.text("stopped" if left else "in_settings"))
