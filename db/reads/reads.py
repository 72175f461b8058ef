"""Batched reads: tokens and devices by their keys, one statement for many requests."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from concurrency.batcher import Batcher
from db.paging import Slice
from db.postgres.connections import DedicatedConnection
from db.postgres.database import Database
from db.reads.device_pages import DevicePages
from db.reads.names import TIMEOUT_SECONDS, load_names
from db.reads.registration import REGISTRATIONS, RegistrationRecord
from domain.access.caller import Scope
from domain.devices.device import COLUMNS, DeviceRecord, NameCache
from domain.devices.inputs import DeviceFilter
from domain.inputs import Page

Result = TypeVar("Result")

# Per statement.
MAX_KEYS = 500

DEVICE = ", ".join(f"d.{column}" for column in COLUMNS)
TOKENS = f"""
SELECT t.hash, t.id AS token_id, t.kind, t.owner_id AS token_owner_id, t.device_id, t.waiting,
    t.max_uses, t.revoked_at IS NOT NULL AS revoked,
    t.expires_at IS NOT NULL AND t.expires_at <= now() AS expired,
    t.confirmed_at IS NOT NULL AS confirmed, t.mqtt_hash IS NOT NULL AS hashed,
    d.access_revision, {DEVICE}
FROM tokens t LEFT JOIN devices d ON d.id = t.device_id WHERE t.hash = ANY($1::bytea[])
"""  # noqa: S608  column names
TOKEN_COLUMNS = 12
MOVING_DEVICES = "SELECT DISTINCT device_id FROM former_topics WHERE device_id = ANY($1::text[])"
TOPIC_DEVICES = f"""
SELECT s.base, EXISTS (SELECT FROM former_topics f WHERE f.device_id = d.id) AS moving, {DEVICE}
FROM unnest($1::text[], $2::text[]) AS s (base, device_id) JOIN devices d ON d.id = s.device_id
WHERE d.state = 'active' AND (d.topic = s.base OR EXISTS (
        SELECT FROM former_topics f WHERE f.topic = s.base AND f.device_id = d.id
    )) AND EXISTS (
        SELECT FROM tokens t WHERE t.device_id = d.id AND NOT t.waiting AND t.revoked_at IS NULL
            AND (t.expires_at IS NULL OR t.expires_at > now())
    )
"""  # noqa: S608  column names
TOPIC_DEVICE_COLUMNS = 2
DEVICES = f"SELECT {DEVICE} FROM devices d WHERE d.id = ANY($1::text[])"  # noqa: S608


class TokenRecord(NamedTuple):
    """`device`: the device that the token belongs to. `hashed`: it has a Mosquitto hash."""

    device: DeviceRecord | None
    id: int
    kind: str
    owner_id: int | None
    device_id: str | None
    waiting: bool
    max_uses: int | None
    revoked: bool
    expired: bool
    confirmed: bool
    hashed: bool
    access_revision: int | None


class TopicDevice(NamedTuple):
    """A device that may publish on a base topic, its present or a former one.

    `moving`: True if it has not confirmed its present topic yet.
    """

    base: str
    moving: bool
    device: DeviceRecord


class Reads:
    """Each result is from a statement that started after the call."""

    def __init__(self, database: Database) -> None:
        names = NameCache({}, {}, {})
        connections = [_ReadConnection(database, names) for _ in range(database.sizes.reads)]
        self._connections = connections
        self._pages = DevicePages(database, names)
        self._tokens = Batcher([connection.tokens for connection in connections], MAX_KEYS)
        self._devices = Batcher([connection.devices for connection in connections], MAX_KEYS)
        self._moving = Batcher([connection.moving for connection in connections], MAX_KEYS)
        self._registrations = Batcher(
            [connection.registrations for connection in connections], MAX_KEYS
        )

    def token(self, hash: bytes) -> "asyncio.Future[TokenRecord | None]":
        """Return a token by its hash. The methods raise Overloaded, the futures Unavailable."""
        return self._tokens.get(hash)

    def device(self, id: str) -> "asyncio.Future[DeviceRecord | None]":
        """Return a device, without a check of the caller's scope."""
        return self._devices.get(id)

    def moving(self, id: str) -> "asyncio.Future[bool | None]":
        """Return True if a device has not confirmed its present topic yet."""
        return self._moving.get(id)

    def registration(self, id: str) -> "asyncio.Future[RegistrationRecord | None]":
        """Return the record for a registration, without a check of the scope. Never None."""
        return self._registrations.get(id)

    async def topic_devices(self, bases: Collection[str]) -> Sequence[TopicDevice]:
        """Return the active devices with a valid token that may use these base topics.

        Raises Unavailable.
        """
        return await self._connections[0].topic_devices(bases)

    async def page(
        self, scope: Scope, wanted: DeviceFilter, page: Page, *, few: bool = False
    ) -> Slice[DeviceRecord]:
        """Return a page of devices, as `DevicePages.page` does."""
        return await self._pages.page(scope, wanted, page, few=few)

    def close(self) -> None:
        """Close connections and clear cached names. The next database may be a restored one."""
        names = NameCache({}, {}, {})
        for connection in self._connections:
            connection.close()
            connection.names = names
        self._pages.close()
        self._pages.names = names


class _ReadConnection(DedicatedConnection):
    """A connection for all kinds of reads, one statement at a time."""

    def __init__(self, database: Database, names: NameCache) -> None:
        super().__init__(database, generic_plan=True)
        self.names = names
        self._one_at_a_time = asyncio.Lock()

    async def tokens(self, hashes: Sequence[bytes]) -> Mapping[bytes, TokenRecord]:
        rows, names = await self._fetch(TOKENS, hashes)
        return {
            row[0]: TokenRecord(
                DeviceRecord(row[TOKEN_COLUMNS:], names) if row[TOKEN_COLUMNS] else None,
                *row[1:TOKEN_COLUMNS],
            )
            for row in rows
        }

    async def devices(self, ids: Sequence[str]) -> Mapping[str, DeviceRecord]:
        rows, names = await self._fetch(DEVICES, ids)
        return {row["id"]: DeviceRecord(row, names) for row in rows}

    async def topic_devices(self, bases: Collection[str]) -> Sequence[TopicDevice]:
        ids = [base.rpartition("/")[2] for base in bases]
        rows, names = await self._fetch(TOPIC_DEVICES, list(bases), ids)
        return [
            TopicDevice(row[0], row[1], DeviceRecord(row[TOPIC_DEVICE_COLUMNS:], names))
            for row in rows
        ]

    async def registrations(self, ids: Sequence[str]) -> Mapping[str, RegistrationRecord]:
        rows, names = await self._fetch(REGISTRATIONS, ids)
        return {row[0]: RegistrationRecord.of(row, names) for row in rows}

    async def moving(self, ids: Sequence[str]) -> Mapping[str, bool]:
        async def read(driver: Any) -> Sequence[Any]:
            return await self.fetch(driver, MOVING_DEVICES, ids, seconds=TIMEOUT_SECONDS)

        return {row["device_id"]: True for row in await self._read_alone(read)}

    async def _fetch(self, query: str, *keys: Sequence[Any]) -> tuple[Sequence[Any], NameCache]:
        """Return device rows, and the names that they need. Raises Unavailable."""

        async def read(driver: Any) -> tuple[Sequence[Any], NameCache]:
            names = self.names
            rows = await self.fetch(driver, query, *keys, seconds=TIMEOUT_SECONDS)
            await load_names(driver, names, rows)
            return rows, names

        return await self._read_alone(read)

    async def _read_alone(self, read: Callable[[Any], Awaitable[Result]]) -> Result:
        async with self._one_at_a_time:
            return await self.read(read)
