"""The alert channels and the bot, as configured by the settings."""

from typing import TYPE_CHECKING

from domain.alerts.recipients import TELEGRAM
from notifier.channels.log import LogChannel
from notifier.channels.webhook import WebhookChannel
from notifier.notifier import ConfiguredChannel, Notifier
from server.runtime.background import BackgroundTask
from server.settings import Settings

if TYPE_CHECKING:
    from notifier.telegram.api import TelegramApi
    from notifier.telegram.bot import TelegramBot

CHANNELS = (TELEGRAM, WebhookChannel.name, LogChannel.name)


class NotifierRuntime:
    """The notifier and the bot as background tasks. `bot` is None if none is configured."""

    def __init__(self, settings: Settings) -> None:
        self.bot: TelegramBot | None = None
        api = self._api = telegram_api(settings)
        channels = configured_channels(settings, api)
        notifier = Notifier(channels, CHANNELS, settings.language)
        self.background_tasks: list[BackgroundTask] = [notifier]
        if api:
            from notifier.telegram import bot  # noqa: PLC0415  a slow import

            self.bot = bot.TelegramBot(api, settings.timezone, settings.telegram_webhook_url)
            self.background_tasks.append(self.bot)

    async def close(self) -> None:
        """Call it after the background tasks have ended: their last messages need a connection."""
        if self._api:
            await self._api.close()


def telegram_api(settings: Settings) -> "TelegramApi | None":
    """Return None if no bot is configured."""
    if settings.telegram_bot_token is None:
        return None
    from notifier.telegram.api import TelegramApi  # noqa: PLC0415  a slow import

    return TelegramApi(settings.telegram_bot_token.get_secret_value(), settings.telegram_api_url)


def configured_channels(settings: Settings, api: "TelegramApi | None") -> list[ConfiguredChannel]:
    """Return Telegram and the webhook, if configured; the log if neither is."""
    channels = []
    if api:
        from notifier.telegram.channel import TelegramChannel  # noqa: PLC0415  a slow import

        channels.append(ConfiguredChannel(TelegramChannel(api), settings.telegram_chat_id))
    if settings.webhook_url is not None:
        secret = settings.webhook_secret.get_secret_value() if settings.webhook_secret else ""
        channels.append(ConfiguredChannel(WebhookChannel(secret), [settings.webhook_url]))
    return channels or [ConfiguredChannel(LogChannel(), ["log"])]
