"""`rollcall notify`: checks whether alerts arrive."""

import asyncio
import sys
from typing import Annotated

import typer

from notifier.channels.channel import Message, RecipientGone, Refused, TemporaryFailure
from notifier.notifier import ConfiguredChannel
from server.cli.database import settings_or_exit
from server.runtime.alerts import configured_channels, telegram_api

TEXT = "This is a test alert of Rollcall. It works."
NOT_SET_UP = (
    "No channel is configured: alerts go to the log only. Set TELEGRAM_BOT_TOKEN (from @BotFather) "
    "and TELEGRAM_CHAT_ID, or ROLLCALL_WEBHOOK_URL."
)
NO_CHAT = (
    "TELEGRAM_CHAT_ID is not set: start the server, write /chatid to your bot, and set the id that "
    "it answers."
)
HINTS = {
    "chat not found": "Write /start to the bot in that chat first, and check TELEGRAM_CHAT_ID.",
    "bot was blocked": "Unblock the bot in that chat.",
    "was kicked": "Add the bot to that chat again.",
    "not a member": "Add the bot to that chat again.",
    "rights": "Let the bot write there; in a channel, make it an administrator that may post.",
    "FORBIDDEN": "Let the bot write there; in a channel, make it an administrator that may post.",
    "TOPIC_CLOSED": "Open the topic, or make the bot an administrator, or name another topic.",
    "thread not found": "Name an existing topic: write /chatid in it.",
    "token is not valid": "Check TELEGRAM_BOT_TOKEN.",
    "can't be reached": "Check this machine's internet connection, or TELEGRAM_API_URL.",
}


def notify(
    test: Annotated[bool, typer.Option("--test", help="Send a test message to each.")] = False,
) -> None:
    """List who gets alerts, and test it."""
    settings = settings_or_exit()
    channels = configured_channels(settings, telegram_api(settings))
    for each in channels:
        typer.echo(f"{each.channel.name}: {', '.join(each.addresses) or 'no recipients'}")
    if test and not asyncio.run(_send_all(channels)):
        sys.exit(1)


async def _send_all(channels: list[ConfiguredChannel]) -> bool:
    """Return whether there are recipients, and each test message was accepted."""
    if channels[0].channel.name == "log":
        typer.echo(NOT_SET_UP, err=True)
        return False
    succeeded = True
    for each in channels:
        if not each.addresses:
            typer.echo(NO_CHAT, err=True)
            succeeded = False
        for address in each.addresses:
            succeeded = await _send(each, address) and succeeded
        await each.channel.close()
    return succeeded


async def _send(configured: ConfiguredChannel, address: str) -> bool:
    name = configured.channel.name
    try:
        await configured.channel.send(address, Message(TEXT, []))
    except (TemporaryFailure, Refused, RecipientGone) as error:
        hints = [hint for part, hint in HINTS.items() if part in str(error)]
        typer.echo(f"{name} {address}: {error}. {' '.join(hints)}", err=True)
        return False
    typer.echo(f"{name} {address}: sent")
    return True
