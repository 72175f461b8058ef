"""Who is told of events, as the settings have it."""

from notifier.log_channel import LogChannel
from notifier.notifier import Notifier, Told
from notifier.webhook import WebhookChannel
from server.settings import Settings

CHANNELS = ("telegram", WebhookChannel.name, LogChannel.name)


def told_by(settings: Settings) -> list[Told]:
    """Telegram and a webhook, as far as they are set; the log where neither is."""
    told = []
    if settings.telegram_bot_token is not None:
        from notifier.telegram import TelegramChannel  # noqa: PLC0415  it loads a lot

        token = settings.telegram_bot_token.get_secret_value()
        channel = TelegramChannel(token, settings.telegram_api_url)
        told.append(Told(channel, settings.telegram_chat_id))
    if settings.webhook_url is not None:
        secret = settings.webhook_secret.get_secret_value() if settings.webhook_secret else ""
        told.append(Told(WebhookChannel(secret), [settings.webhook_url]))
    return told or [Told(LogChannel(), ["log"])]


def notifier_for(settings: Settings) -> Notifier:
    return Notifier(told_by(settings), CHANNELS, settings.language)
