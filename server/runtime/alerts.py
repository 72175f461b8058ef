"""Who is told of events, and by which bot, as the settings have it."""

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
    """`workers` tell people, and listen to them. `bot` None: there is none."""

    def __init__(self, settings: Settings) -> None:
        self.bot: TelegramBot | None = None
        api = self._api = telegram_api(settings)
        told = configured_channels(settings, api)
        self.workers: list[BackgroundTask] = [Notifier(told, CHANNELS, settings.language)]
        if api:
            from notifier.telegram import bot  # noqa: PLC0415  as below

            self.bot = bot.TelegramBot(api, settings.timezone, settings.telegram_webhook_url)
            self.workers.append(self.bot)

    async def close(self) -> None:
        """After the workers: what they say last needs a connection, too."""
        if self._api:
            await self._api.close()


def telegram_api(settings: Settings) -> "TelegramApi | None":
    """None where no bot is set."""
    if settings.telegram_bot_token is None:
        return None
    from notifier.telegram.api import TelegramApi  # noqa: PLC0415  it loads a lot

    return TelegramApi(settings.telegram_bot_token.get_secret_value(), settings.telegram_api_url)


def configured_channels(settings: Settings, api: "TelegramApi | None") -> list[ConfiguredChannel]:
    """Telegram and a webhook, as far as they are set; the log where neither is."""
    told = []
    if api:
        from notifier.telegram.channel import TelegramChannel  # noqa: PLC0415  as above

        told.append(ConfiguredChannel(TelegramChannel(api), settings.telegram_chat_id))
    if settings.webhook_url is not None:
        secret = settings.webhook_secret.get_secret_value() if settings.webhook_secret else ""
        told.append(ConfiguredChannel(WebhookChannel(secret), [settings.webhook_url]))
    return told or [ConfiguredChannel(LogChannel(), ["log"])]
