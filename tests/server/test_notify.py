"""The command `rollcall notify --test`, which sends a test alert."""

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.alerts.bot_api import TOKEN, BotApi

CHAT = 4242


@pytest.fixture
def telegram() -> Iterator[BotApi]:
    with BotApi() as api:
        api.knows(CHAT)
        yield api


def notify(**environment: str) -> Any:
    return subprocess.run(
        [sys.executable, "-m", "server", "notify", "--test"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_notify_sends_test_message(telegram: BotApi) -> None:
    ended = notify(
        TELEGRAM_BOT_TOKEN=TOKEN, TELEGRAM_CHAT_ID=str(CHAT), TELEGRAM_API_URL=telegram.url
    )
    assert ended.returncode == 0, ended.stderr
    assert f"telegram {CHAT}: sent" in ended.stdout
    assert "It works" in telegram.messages(CHAT)[0].text


@pytest.mark.parametrize(
    ("token", "chat", "message"),
    [
        (None, None, "TELEGRAM_BOT_TOKEN"),
        (TOKEN, None, "TELEGRAM_CHAT_ID is not set"),
        (TOKEN, "99", "Write /start to the bot"),
        ("1:wrong", str(CHAT), "Check TELEGRAM_BOT_TOKEN"),
        ("abc", str(CHAT), "TELEGRAM_BOT_TOKEN: Give it as BotFather shows it"),
        (TOKEN, "my chat", "TELEGRAM_CHAT_ID: Give chat ids"),
    ],
)
def test_notify_reports_wrong_settings(
    telegram: BotApi, token: str | None, chat: str | None, message: str
) -> None:
    values = {"TELEGRAM_BOT_TOKEN": token, "TELEGRAM_CHAT_ID": chat}
    settings = {name: value for name, value in values.items() if value}
    ended = notify(**settings, TELEGRAM_API_URL=telegram.url)
    assert ended.returncode in (1, 2)
    assert message in ended.stderr
    assert TOKEN not in ended.stdout + ended.stderr


def test_notify_reports_missing_network() -> None:
    ended = notify(
        TELEGRAM_BOT_TOKEN=TOKEN, TELEGRAM_CHAT_ID="1", TELEGRAM_API_URL="http://127.0.0.1:9"
    )
    assert ended.returncode == 1
    assert "Check this machine's internet connection" in ended.stderr
    assert TOKEN not in ended.stderr
