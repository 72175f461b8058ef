"""Sets the menu of commands that Telegram shows."""

from functools import partial

from telebot.types import BotCommand

from notifier.messages.texts import FALLBACK, LANGUAGES, texts
from notifier.telegram.api import TelegramApi
from notifier.telegram.retrying import retry_until_done
from notifier.telegram.updates.dispatch import COMMANDS


async def set_menu(api: TelegramApi) -> None:
    """Set it in each language; retry until Telegram accepts it."""
    for language in LANGUAGES:
        await retry_until_done(
            "The bot's menu could not be set", partial(_set_commands, api, language)
        )


async def _set_commands(api: TelegramApi, language: str) -> None:
    descriptions = texts(language)["commands"]
    commands = [BotCommand(name, descriptions[name]) for name in COMMANDS]
    code = None if language == FALLBACK else language
    await api.call("setMyCommands", lambda bot: bot.set_my_commands(commands, language_code=code))
