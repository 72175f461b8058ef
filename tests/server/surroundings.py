"""What a server depends on, as processes that a test can freeze, thaw and kill."""

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


class Surroundings:
    """A PostgreSQL, a Mosquitto that lets everybody in, and Telegram's stand-in; and any number of
    servers on them.
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
        """Servers that are ready."""
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
        """`database`, `broker` or `telegram`: it goes on existing, and does nothing."""
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
    """A process and its children. New ones that appear meanwhile are frozen, too."""
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
    """The port of a server that accepts connections, reads, and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listening:
        taken: list[socket.socket] = []

        def accept() -> None:
            with suppress(OSError):
                while True:
                    taken.append(listening.accept()[0])

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield int(listening.getsockname()[1])
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            for each in taken:
                each.close()
