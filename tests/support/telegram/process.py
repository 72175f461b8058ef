"""The stand-in as a process of its own."""

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

from tests.alerts.bot_api import TOKEN, BotApi
from tests.support.telegram.faults import Fault
from tests.support.telegram.wire import Answer, Request, ok


class Steered(BotApi):
    """Takes over HTTP what a test calls: POST /control/says with its arguments as JSON, and so
    presses, knows, blocks, behave; misbehave takes {"faults": [{"kind": "slow", "seconds": 2}]} and
    chat_id; GET /control/violations gives how often a limit was broken.
    """

    async def handle(self, request: Request) -> Answer:
        if not request.path.startswith("/control/"):
            return await super().handle(request)
        arguments: dict[str, Any] = {}
        for name, value in request.parameters.items():
            number = name.endswith("_id") or name == "faults"
            arguments[name] = json.loads(value) if number else value
        match request.path.removeprefix("/control/"):
            case "says" | "presses" | "knows" | "blocks" | "behave" as deed:
                return ok(getattr(self, deed)(**arguments))
            case "misbehave":
                self.misbehave(*(Fault(**f) for f in arguments.pop("faults")), **arguments)
                return ok(True)
            case "violations":
                return ok(len(self.violations))
        return Answer(404, b"")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A stand-in for Telegram's Bot API.")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--log", type=Path, help="gets one JSON line for each accepted call")
    parser.add_argument("--token", default=TOKEN)
    parser.add_argument("--limits", action="store_true", help="enforce Telegram's limits")
    parser.add_argument(
        "--chat", type=int, action="append", default=[], help="a known chat; below 0 a group"
    )
    return parser.parse_args()


async def serve(options: argparse.Namespace) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    api = Steered(options.token, port=options.port, limits=options.limits, log=options.log)
    for chat_id in options.chat:
        api.knows(chat_id, "private" if chat_id > 0 else "group")
    async with api:
        sys.stdout.write(f"{api.url}\n")
        sys.stdout.flush()
        await stopped.wait()


def main() -> None:
    asyncio.run(serve(arguments()))
