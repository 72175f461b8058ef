"""The conditional writes, one method for each kind."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from db.postgres.database import Database
from db.writes.batch_writer import BatchWriter, Write
from db.writes.change_config import CHANGE
from db.writes.confirm_token import CONFIRM
from db.writes.create_device import CREATE
from db.writes.issue_token import ISSUE
from db.writes.record_presence import PRESENCE
from db.writes.record_report import REPORT
from db.writes.request_approval import REQUEST
from domain.devices.writes import (
    ChangeConfig,
    ConfirmToken,
    CreateDevice,
    IssueToken,
    RecordPresence,
    RecordReport,
    RequestApproval,
)


class Writes:
    """Each method returns True after the change is committed, and False after a conflict.

    With a `session`, it writes in that transaction, and waits for others that have locked the
    device. Each raises Unavailable and Overloaded.
    """

    def __init__(self, database: Database) -> None:
        self._change_config = BatchWriter(database, CHANGE, ChangeConfig)
        self._confirm_token = BatchWriter(database, CONFIRM, ConfirmToken)
        self._create_device = BatchWriter(database, CREATE, CreateDevice)
        self._issue_token = BatchWriter(database, ISSUE, IssueToken)
        self._record_presence = BatchWriter(database, PRESENCE, RecordPresence)
        self._record_report = BatchWriter(database, REPORT, RecordReport)
        self._request_approval = BatchWriter(database, REQUEST, RequestApproval)

    async def change_config(self, write: ChangeConfig, session: AsyncSession | None = None) -> bool:
        return await _write(self._change_config, write, session)

    async def confirm_token(self, write: ConfirmToken, session: AsyncSession | None = None) -> bool:
        return await _write(self._confirm_token, write, session)

    async def create_device(
        self, write: CreateDevice, session: AsyncSession | None = None
    ) -> int | None:
        """Return the number of the device; None after a conflict."""
        if session:
            number: Any = await self._create_device.write_in(session, write)
        else:
            number = await self._create_device.submit(write)
        return None if number is None else int(number)

    async def issue_token(self, write: IssueToken, session: AsyncSession | None = None) -> bool:
        return await _write(self._issue_token, write, session)

    async def record_presence(
        self, write: RecordPresence, session: AsyncSession | None = None
    ) -> bool:
        return await _write(self._record_presence, write, session)

    async def record_report(self, write: RecordReport, session: AsyncSession | None = None) -> bool:
        return await _write(self._record_report, write, session)

    async def request_approval(
        self, write: RequestApproval, session: AsyncSession | None = None
    ) -> bool:
        return await _write(self._request_approval, write, session)

    def close(self) -> None:
        writers = (
            self._change_config,
            self._confirm_token,
            self._create_device,
            self._issue_token,
            self._record_presence,
            self._record_report,
            self._request_approval,
        )
        for writer in writers:
            writer.close()


async def _write(writer: BatchWriter[Write], write: Write, session: AsyncSession | None) -> bool:
    value: Any = await (writer.write_in(session, write) if session else writer.submit(write))
    return value is not None
