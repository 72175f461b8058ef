"""Sends alerts by a Telegram bot."""

from domain.alerts.recipients import TELEGRAM
from notifier.channels.channel import Message, Moved
from notifier.telegram.api import TelegramApi
from notifier.telegram.formatting import format_text, keyboard
from notifier.telegram.threads import Thread

# Limits: one message a second in a chat, 20 a minute in a group (core.telegram.org/bots/faq).
CHAT_SECONDS = 1.1
GROUP_SECONDS = 3.2


class TelegramChannel:
    name = TELEGRAM

    def __init__(self, api: TelegramApi) -> None:
        self.api = api

    def pause(self, address: str) -> float:
        return GROUP_SECONDS if address.startswith("-") else CHAT_SECONDS

    async def send(self, address: str, message: Message) -> None:
        thread = Thread.at(address)
        try:
            await self.api.send_throttled(
                thread.chat,
                lambda bot: bot.send_message(
                    thread.chat,
                    format_text(message.text),
                    parse_mode="HTML",
                    reply_markup=keyboard(message.buttons),
                    disable_web_page_preview=True,
                    **thread.options,
                ),
            )
        except Moved as moved:
            raise Moved(Thread(moved.address, thread.topic).address) from None

    async def close(self) -> None:
        await self.api.close()
