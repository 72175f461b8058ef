"""`postmaster.pid`, which PostgreSQL writes into its data folder while it runs."""

import os
from dataclasses import dataclass
from pathlib import Path

NAME = "postmaster.pid"
MAX_BYTES = 16_384
# Line numbers from 0 on, as in PostgreSQL's miscadmin.h.
PID, DATA_FOLDER, PORT, SOCKET_FOLDER, STATUS = 0, 1, 3, 4, 7


@dataclass(frozen=True)
class PidFile:
    """`pid` is 0 if the file has no number. Texts are empty if they are not written yet."""

    pid: int
    data_folder: str
    port: str
    socket_folder: str
    status: str

    @property
    def socket(self) -> Path | None:
        if not self.socket_folder or not self.port.isdecimal():
            return None
        return socket_in(Path(self.socket_folder), int(self.port))


def socket_in(folder: Path, port: int) -> Path:
    return folder / f".s.PGSQL.{port}"


def read_pid_file(folder: Path) -> PidFile | None:
    """Return None if there is no such file. Raises OSError."""
    try:
        with (folder / NAME).open("rb") as file:
            lines = file.read(MAX_BYTES).split(b"\n")
    except FileNotFoundError:
        return None
    texts = [os.fsdecode(line).strip() for line in lines]
    texts += [""] * (STATUS + 1 - len(texts))
    return PidFile(
        _number(texts[PID]),
        texts[DATA_FOLDER],
        texts[PORT],
        texts[SOCKET_FOLDER],
        texts[STATUS],
    )


def _number(text: str) -> int:
    """Return the process id. A single-user PostgreSQL writes it with a minus sign."""
    digits = text.removeprefix("-")
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 10 else 0  # noqa: PLR2004
