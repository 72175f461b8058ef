"""`rollcall notify`: whether alerts arrive."""

import asyncio
import sys
from typing import Annotated

import typer

from notifier.channels.channel import Failed, Gone, Message, Refused
from notifier.notifier import ConfiguredChannel
from server.cli.database import settings_or_exit
from server.runtime.alerts import configured_channels, telegram_api

TEXT = "This is a test of Rollcall's alerts. It works."
NOT_SET_UP = (
    "No alerts are set up: they go to the log only. Set TELEGRAM_BOT_TOKEN (from @BotFather) and "
    "TELEGRAM_CHAT_ID, or ROLLCALL_WEBHOOK_URL."
)
NO_CHAT = (
    "TELEGRAM_CHAT_ID is not set: start the server, write /chatid to your bot, and set what it "
    "says."
)
HINTS = {
    "chat not found": "Write /start to the bot in that chat first, and check TELEGRAM_CHAT_ID.",
    "bot was blocked": "Unblock the bot in that chat.",
    "was kicked": "Add the bot to that chat again.",
    "not a member": "Add the bot to that chat again.",
    "rights": "Let the bot write there; in a channel, make it an administrator that may post.",
    "FORBIDDEN": "Let the bot write there; in a channel, make it an administrator that may post.",
    "TOPIC_CLOSED": "Open the topic, or make the bot an administrator, or name another topic.",
    "thread not found": "Name a topic that there is: write /chatid in it.",
    "token is not valid": "Check TELEGRAM_BOT_TOKEN.",
    "can't be reached": "Check this machine's way to the internet, or TELEGRAM_API_URL.",
}


def notify(
    test: Annotated[bool, typer.Option("--test", help="Send a test message to everybody.")] = False,
) -> None:
    """Say who is told of events, and try it."""
    settings = settings_or_exit()
    told = configured_channels(settings, telegram_api(settings))
    for each in told:
        typer.echo(f"{each.channel.name}: {', '.join(each.addresses) or 'nobody'}")
    if test and not asyncio.run(_all_arrived(told)):
        sys.exit(1)


async def _all_arrived(told: list[ConfiguredChannel]) -> bool:
    if told[0].channel.name == "log":
        typer.echo(NOT_SET_UP, err=True)
        return False
    well = True
    for each in told:
        if not each.addresses:
            typer.echo(NO_CHAT, err=True)
            well = False
        for address in each.addresses:
            well = await _arrived(each, address) and well
        await each.channel.close()
    return well


async def _arrived(told: ConfiguredChannel, address: str) -> bool:
    try:
        await told.channel.send(address, Message(TEXT, []))
    except (Failed, Refused, Gone) as error:
        hints = [hint for part, hint in HINTS.items() if part in str(error)]
        typer.echo(f"{told.channel.name} {address}: {error}. {' '.join(hints)}", err=True)
        return False
    typer.echo(f"{told.channel.name} {address}: sent")
    return True
