"""The fake Bot API as a separate process."""

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

from tests.alerts.bot_api import TOKEN, BotApi
from tests.support.telegram.faults import Fault
from tests.support.telegram.http import Request, Response, ok


class ControlledBotApi(BotApi):
    """Offers the methods of tests over HTTP. POST /control/says takes the arguments as JSON;
    presses, knows, blocks and behave work alike. misbehave takes
    {"faults": [{"kind": "slow", "seconds": 2}]} and chat_id. GET /control/violations returns how
    often a limit was exceeded.
    """

    async def handle(self, request: Request) -> Response:
        if not request.path.startswith("/control/"):
            return await super().handle(request)
        arguments: dict[str, Any] = {}
        for name, value in request.parameters.items():
            number = name.endswith("_id") or name == "faults"
            arguments[name] = json.loads(value) if number else value
        match request.path.removeprefix("/control/"):
            case "says" | "presses" | "knows" | "blocks" | "behave" as method:
                return ok(getattr(self, method)(**arguments))
            case "misbehave":
                self.misbehave(*(Fault(**f) for f in arguments.pop("faults")), **arguments)
                return ok(True)
            case "violations":
                return ok(len(self.violations))
        return Response(404, b"")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run a fake of Telegram's Bot API.")
    parser.add_argument("--port", type=int, default=0, help="0: use a free port")
    parser.add_argument("--log", type=Path, help="file for one JSON line per accepted call")
    parser.add_argument("--token", default=TOKEN)
    parser.add_argument("--limits", action="store_true", help="enforce Telegram's limits")
    parser.add_argument(
        "--chat", type=int, action="append", default=[], help="id of an existing chat; < 0: a group"
    )
    return parser.parse_args()


async def serve(options: argparse.Namespace) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    api = ControlledBotApi(options.token, port=options.port, limits=options.limits, log=options.log)
    for chat_id in options.chat:
        api.knows(chat_id, "private" if chat_id > 0 else "group")
    async with api:
        sys.stdout.write(f"{api.url}\n")
        sys.stdout.flush()
        await stopped.wait()


def main() -> None:
    asyncio.run(serve(arguments()))
