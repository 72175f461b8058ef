"""The dependencies of a server as processes that a test can freeze, resume and kill."""

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Self

import psutil

from db.embedded import EmbeddedPostgres
from tests.alerts.bot_api import TOKEN
from tests.server.process import ServerProcess, wait_for
from tests.support.mosquitto import Mosquitto

CHAT = 11


class Dependencies:
    """A PostgreSQL, a Mosquitto without access control, a fake Telegram, and any number of servers
    that use them.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.postgres = EmbeddedPostgres(folder / "postgres")
        self.broker = Mosquitto(folder)
        self.alerts = folder / "telegram.jsonl"
        self.servers: list[ServerProcess] = []
        self._stack = ExitStack()
        self._frozen: list[psutil.Process] = []

    def __enter__(self) -> Self:
        try:
            self.database_url = self.postgres.start()
            self._stack.callback(self.postgres.stop)
            self.broker.start()
            self._stack.callback(self.broker.stop)
            self._start_telegram()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.thaw()
        for server in self.servers:
            server.kill()
        self._stack.close()

    def start(self, count: int, **environment: str) -> list[ServerProcess]:
        """Start more servers and wait until they are ready. Return all servers."""
        for _ in range(count):
            server = ServerProcess(
                self.folder / f"server-{len(self.servers)}",
                ROLLCALL_DATABASE_URL=self.database_url,
                ROLLCALL_MQTT_URL=f"mqtt://127.0.0.1:{self.broker.port}",
                TELEGRAM_BOT_TOKEN=TOKEN,
                TELEGRAM_CHAT_ID=str(CHAT),
                TELEGRAM_API_URL=self.telegram_url,
                **environment,
            )
            self.servers.append(server)
            server.start()
        return self.servers

    def freeze(self, what: str) -> None:
        """Suspend the processes of `what`: "database", "broker" or "telegram"."""
        pid = {
            "database": lambda: self.postgres.pid,
            "broker": lambda: self.broker.process.pid if self.broker.process else 0,
            "telegram": lambda: self.telegram.pid,
        }[what]()
        self._frozen = freeze(pid)

    def thaw(self) -> None:
        thaw(self._frozen)
        self._frozen = []

    def _start_telegram(self) -> None:
        output = self.folder / "telegram.log"
        with output.open("w") as log:
            self.telegram = subprocess.Popen(
                [
                    sys.executable,
                    *("-m", "tests.alerts.bot_api"),
                    *("--log", str(self.alerts), "--chat", str(CHAT)),
                ],
                stdout=log,
                stderr=log,
            )
        self._stack.callback(self._end_telegram)
        wait_for(lambda: "http://" in output.read_text())
        self.telegram_url = output.read_text().strip()

    def _end_telegram(self) -> None:
        self.telegram.kill()
        self.telegram.wait()


def freeze(pid: int) -> list[psutil.Process]:
    """Suspend a process and its children, including children that start in the meantime."""
    frozen: list[psutil.Process] = []
    parent = psutil.Process(pid)
    while missing := [p for p in (parent, *parent.children(recursive=True)) if p not in frozen]:
        for process in missing:
            frozen.append(process)
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGSTOP)
    return frozen


def thaw(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGCONT)


@contextmanager
def black_hole() -> Iterator[int]:
    """Yield the port of a server that accepts connections and never responds."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listening:
        accepted: list[socket.socket] = []

        def accept() -> None:
            with suppress(OSError):
                while True:
                    accepted.append(listening.accept()[0])

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield int(listening.getsockname()[1])
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            for each in accepted:
                each.close()
