"""The conditional writes of a process."""

from typing import Any

from db.postgres.database import Database
from db.writes.batch_writer import BatchWriter, Write
from db.writes.confirm_token import CONFIRM
from domain.devices.changes import ConfirmToken


class Writes:
    """Each method returns whether it was written; False after a conflict. `wait`: it waits for
    other transactions that have the device locked, and does not share a statement with others.

    Each raises Unavailable and Overloaded.
    """

    def __init__(self, database: Database) -> None:
        self._confirm_token = BatchWriter(database, CONFIRM, ConfirmToken)

    async def confirm_token(self, write: ConfirmToken, *, wait: bool = False) -> bool:
        return await _written(self._confirm_token, write, wait=wait)

    def close(self) -> None:
        self._confirm_token.close()


async def _written(writer: BatchWriter[Write], write: Write, *, wait: bool) -> bool:
    found: Any = await (writer.submit_alone(write) if wait else writer.submit(write))
    return found is not None
