"""`POST /telegram`: updates from Telegram, if it calls the server instead of being polled."""

from secrets import compare_digest
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from notifier.telegram.bot import TelegramBot
from server.http.body import BadRequest, read_body
from server.runtime.database import DatabaseSupervisor

MAX_BYTES = 1_000_000
PATH = "/telegram"


class TelegramWebhook:
    """401 without the secret that only Telegram knows. 503 while the database is not available.

    Telegram repeats updates after a 503 (core.telegram.org/bots/api#setwebhook).
    """

    def __init__(self, bot: TelegramBot, database_supervisor: DatabaseSupervisor) -> None:
        self._bot = bot
        self._database_supervisor = database_supervisor

    async def __call__(self, http: Request) -> Response:
        given = http.headers.get("x-telegram-bot-api-secret-token", "")
        if not compare_digest(given.encode(), self._bot.secret.encode()):
            return PlainTextResponse("Only Telegram may use this route.\n", 401)
        services = self._database_supervisor.services
        if services is None:
            return PlainTextResponse("The database is not available.\n", 503)
        try:
            await self._bot.receive(services, _update(await read_body(http, MAX_BYTES)))
        except ValueError:
            return PlainTextResponse("The body is not an update.\n", 400)
        except BadRequest as error:
            return PlainTextResponse(f"{error.message}\n", error.status, error.headers)
        return PlainTextResponse("")


def _update(body: bytes) -> dict[str, Any]:
    """Parse an update. Raises ValueError for anything else."""
    update = orjson.loads(body)
    if not isinstance(update, dict) or not isinstance(update.get("update_id"), int):
        raise ValueError("There is no update_id.")  # noqa: TRY004  as json does
    return update
