"""The menu of commands that Telegram shows: never in the way of what people say."""

from functools import partial

from telebot.types import BotCommand

from notifier.messages.texts import FALLBACK, LANGUAGES, texts
from notifier.telegram.api import TelegramApi
from notifier.telegram.retrying import until_done
from notifier.telegram.updates.dispatch import COMMANDS


async def offer_menu(api: TelegramApi) -> None:
    """In each language, however long that takes."""
    for language in LANGUAGES:
        await until_done("The bot's menu is not set", partial(_offer, api, language))


async def _offer(api: TelegramApi, language: str) -> None:
    about = texts(language)["commands"]
    commands = [BotCommand(name, about[name]) for name in COMMANDS]
    code = None if language == FALLBACK else language
    await api.ask("setMyCommands", lambda bot: bot.set_my_commands(commands, language_code=code))
