"""MAC addresses of devices for concurrent registrations, and locks that requests wait for."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from tests.support.waiting import until

LOCK_WAITS = text(
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


def mac(number: int) -> str:
    return f"24:6f:28:01:{number // 256:02x}:{number % 256:02x}"


async def until_lock_wait(session: AsyncSession) -> None:
    """Wait until another connection to the session's database waits for a lock."""
    await until(lambda: session.scalar(LOCK_WAITS))
