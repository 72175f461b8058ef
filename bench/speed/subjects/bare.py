"""The bare limit: the same responses by ASGI and asyncpg alone, without GraphQL.

Concurrent requests share a statement. Input and rights are not checked.
"""

import asyncio
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import asyncpg
import orjson

from concurrency.batcher import Batcher
from db.postgres.connections import DedicatedConnection
from db.writes.batch_writer import BatchWriter
from db.writes.create_device import CREATE
from domain.access.tokens import TokenKind, hash_token, new_token
from domain.devices.identity import device_id, parse_mac
from domain.devices.writes import CreateDevice
from domain.mqtt.accounts import mosquitto_hash

BOOT = """
SELECT t.hash, d.topic, d.listen, d.config_version, d.interval_seconds, d.qos
FROM tokens t LEFT JOIN devices d ON d.id = t.device_id
WHERE t.hash = ANY($1::bytea[]) AND t.revoked_at IS NULL
"""
LIST = """
SELECT d.id, o.name AS owner, p.name AS place, d.latitude, d.longitude, m.name AS type,
    d.sensor_model, d.state, d.topic, d.config_version, d.interval_seconds, d.qos,
    d.applied_version, d.online
FROM devices d JOIN owners o ON o.id = d.owner_id JOIN places p ON p.id = d.place_id
    JOIN measurement_types m ON m.id = d.measurement_type_id
ORDER BY d.number LIMIT 50
"""
CONNECTIONS = 2


class App:
    def __init__(self) -> None:
        from db.postgres.database import Database  # noqa: PLC0415  in the process that serves

        self.database = Database(os.environ["DATABASE_URL"])
        connections = [DedicatedConnection(self.database) for _ in range(CONNECTIONS)]
        self.tokens: Batcher[bytes, Any] = Batcher(
            [_reading(connection) for connection in connections], 500
        )
        self.devices = BatchWriter(self.database, CREATE, CreateDevice)
        self.pool: asyncpg.Pool[asyncpg.Record] | None = None
        self.levels: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        message = await receive()
        if not message["body"]:
            await _respond(send, b"{}")
            return
        request = orjson.loads(message["body"])
        headers = dict(scope["headers"])
        token = await self.tokens.get(hash_token(headers[b"authorization"][7:].decode()))
        assert token
        if request.get("documentId") == "b":
            body: Any = {"me": _boot(token)}
        elif request.get("documentId") == "r":
            body = {"registerDevice": await self._register(request["variables"])}
        else:
            body = {"devices": {"nodes": await self._list()}}
        await _respond(send, orjson.dumps({"data": body}))

    async def _register(self, variables: Mapping[str, Any]) -> Any:
        if self.levels is None:
            async with self.database.engine.connect() as connection:
                raw = await connection.exec_driver_sql(
                    "SELECT o.id, p.id, m.id FROM owners o JOIN places p ON p.owner_id = o.id "
                    "JOIN measurement_types m ON m.owner_id = o.id WHERE o.name = $1 AND "
                    "p.name = $2 AND m.name = $3",
                    (variables["owner"], variables["place"], variables["type"]),
                )
                self.levels = raw.one()
        owner, place, type = self.levels
        id, secret, now = (
            device_id(parse_mac(variables["mac"])),
            new_token(TokenKind.DEVICE),
            _now(),
        )
        topic = f"owner-7/place-3/type-2/{id}"
        words = [id, "owner", "7", "place", "3", "type", "2", "bme280"]
        facts = {**variables, "topic": topic, "state": "active", "version": 1}
        await self.devices.submit(
            CreateDevice(
                *(
                    id,
                    owner,
                    place,
                    type,
                    topic,
                    variables["lat"],
                    variables["lon"],
                    variables["model"],
                ),
                *(
                    variables["fw"],
                    "active",
                    False,
                    1,
                    60,
                    1,
                    "enrol:1",
                    words,
                    hash_token(secret),
                    mosquitto_hash(secret),
                ),
                *(None, None, facts, now, now),
            )
        )
        config = {"version": 1, "intervalSeconds": 60, "qos": 1}
        device = {"id": id, "topics": {"data": topic, "listen": []}, "config": config}
        return {"outcome": "CREATED", "token": secret, "device": device, "errors": []}

    async def _list(self) -> Any:
        if self.pool is None:
            url = os.environ["DATABASE_URL"]
            self.pool = await asyncpg.create_pool(url, min_size=1, max_size=8, reset=_no_reset)
        return [
            {
                "id": row["id"],
                "owner": row["owner"],
                "location": {name: row[name] for name in ("place", "latitude", "longitude")},
                "measurementType": row["type"],
                "sensorModel": row["sensor_model"],
                "state": row["state"].upper(),
                "topics": {"data": row["topic"]},
                "config": _config(row),
                "inSync": row["applied_version"] == row["config_version"],
                "online": row["online"],
            }
            for row in await self.pool.fetch(LIST)
        ]


def _reading(connection: DedicatedConnection) -> Any:
    lock = asyncio.Lock()

    async def fetch(hashes: Sequence[bytes]) -> Mapping[bytes, Any]:
        async with lock:
            rows = await connection.use(
                lambda driver: connection.fetch(driver, BOOT, hashes, seconds=10)
            )
        return {row["hash"]: row for row in rows}

    return fetch


def _boot(row: Any) -> Any:
    config = {"v": row["config_version"], "i": row["interval_seconds"], "q": row["qos"]}
    return {"t": {"d": row["topic"], "l": row["listen"]}, "c": config}


def _config(row: Any) -> Any:
    names = {"version": "config_version", "intervalSeconds": "interval_seconds", "qos": "qos"}
    return {name: row[column] for name, column in names.items()}


def _now() -> datetime:
    return datetime.now(UTC)


async def _no_reset(_: Any) -> None:
    """No-op: the sessions have no state to reset."""


async def _respond(send: Any, body: bytes) -> None:
    length = str(len(body)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", length)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def create() -> App:
    return App()
