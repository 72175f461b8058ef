"""A server as in tutorials: FastAPI, strawberry's router, a SQLAlchemy session per request."""

import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import strawberry
from fastapi import Depends, FastAPI
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import joinedload
from strawberry.fastapi import GraphQLRouter

from db.devices.search import words_of
from db.tables import devices as tables
from db.tables.events import EventRow
from db.tables.tokens import TokenRow
from domain.access.tokens import TokenKind, hash_token, new_token
from domain.devices.identity import device_id, parse_mac
from domain.mqtt.accounts import mosquitto_hash

URL = os.environ["DATABASE_URL"].replace("postgresql:", "postgresql+asyncpg:", 1)
engine = create_async_engine(URL, pool_size=16)
sessions = async_sessionmaker(engine, expire_on_commit=False)
NAMES = (
    joinedload(tables.DeviceRow.owner),
    joinedload(tables.DeviceRow.place),
    joinedload(tables.DeviceRow.measurement_type),
)


@strawberry.type
class Topics:
    data: str
    listen: list[str]


@strawberry.type
class Config:
    version: int
    interval_seconds: int
    qos: int


@strawberry.type
class Location:
    place: str
    latitude: float | None
    longitude: float | None


@strawberry.type
class Device:
    id: strawberry.ID
    owner: str
    location: Location
    measurement_type: str
    sensor_model: str | None
    state: str
    topics: Topics
    config: Config
    in_sync: bool
    online: bool


@strawberry.type
class Devices:
    nodes: list[Device]


@strawberry.type
class UserError:
    code: str
    field: str | None
    message: str


@strawberry.type
class RegisterDevicePayload:
    outcome: str | None
    token: str | None
    device: Device | None
    errors: list[UserError]


@strawberry.type
class UpdateConfigPayload:
    config: Config | None
    errors: list[UserError]


@strawberry.input
class LocationInput:
    place: str
    latitude: float | None = None
    longitude: float | None = None


@strawberry.input
class RegisterDeviceInput:
    mac: str
    location: LocationInput
    measurement_type: str
    owner: str
    sensor_model: str | None = None
    firmware: str | None = None


@strawberry.input
class UpdateConfigInput:
    device_id: strawberry.ID
    interval_seconds: int


def config_of(row: tables.DeviceRow) -> Config:
    return Config(version=row.config_version, interval_seconds=row.interval_seconds, qos=row.qos)


def device_of(row: tables.DeviceRow) -> Device:
    return Device(
        id=strawberry.ID(row.id),
        owner=row.owner.name,
        location=Location(place=row.place.name, latitude=row.latitude, longitude=row.longitude),
        measurement_type=row.measurement_type.name,
        sensor_model=row.sensor_model,
        state=row.state.upper(),
        topics=Topics(data=row.topic, listen=row.listen),
        config=config_of(row),
        in_sync=row.applied_version == row.config_version,
        online=row.online,
    )


async def find(session: AsyncSession, table: Any, name: str) -> Any:
    query = select(table).where(table.name_key == func.lower(name)).limit(1)
    return (await session.scalars(query)).one()


@strawberry.type
class Query:
    @strawberry.field
    async def me(self, info: strawberry.Info) -> Device | None:
        session, token = info.context["session"], info.context["token"]
        query = (
            select(tables.DeviceRow).where(tables.DeviceRow.id == token.device_id).options(*NAMES)
        )
        row = (await session.scalars(query)).one_or_none()
        return device_of(row) if row else None

    @strawberry.field
    async def devices(self, info: strawberry.Info, first: int = 50) -> Devices:
        query = (
            select(tables.DeviceRow).order_by(tables.DeviceRow.number).limit(first).options(*NAMES)
        )
        rows = await info.context["session"].scalars(query)
        return Devices(nodes=[device_of(row) for row in rows])


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def register_device(
        self, info: strawberry.Info, input: RegisterDeviceInput
    ) -> RegisterDevicePayload:
        session, now = info.context["session"], datetime.now(UTC)
        owner = await find(session, tables.OwnerRow, input.owner)
        owned = {"owner_id": owner.id}
        place, type = [
            (await session.scalars(select(table).filter_by(**owned, name=name))).one()
            for table, name in (
                (tables.PlaceRow, input.location.place),
                (tables.MeasurementTypeRow, input.measurement_type),
            )
        ]
        id, secret = device_id(parse_mac(input.mac)), new_token(TokenKind.DEVICE)
        row = tables.DeviceRow(
            id=id,
            owner=owner,
            place=place,
            measurement_type=type,
            topic=f"{owner.slug}/{place.slug}/{type.slug}/{id}",
            listen=[],
            latitude=input.location.latitude,
            longitude=input.location.longitude,
            sensor_model=input.sensor_model,
            firmware=input.firmware,
            state="active",
            config_version=1,
            interval_seconds=60,
            qos=1,
            online=False,
            config_updated_at=now,
            config_updated_by="enrol:1",
            last_seen_at=now,
            registered_at=now,
            updated_at=now,
        )
        row.search = words_of(row)
        session.add(row)
        await session.flush()
        token = {"kind": "device", "hash": hash_token(secret), "device_id": id}
        created = {"mqtt_hash": mosquitto_hash(secret), "created_at": now, "created_by": "enrol:1"}
        session.add(TokenRow(**token, **created))
        facts = {"owner": owner.name, "place": place.name, "topic": row.topic, "version": 1}
        event = {"kind": "device_registered", "device_id": id, "owner_id": owner.id}
        session.add(EventRow(**event, actor="enrol:1", after=facts))
        await session.commit()
        return RegisterDevicePayload(
            outcome="CREATED", token=secret, device=device_of(row), errors=[]
        )

    @strawberry.mutation
    async def update_config(
        self, info: strawberry.Info, input: UpdateConfigInput
    ) -> UpdateConfigPayload:
        session = info.context["session"]
        query = select(tables.DeviceRow).where(tables.DeviceRow.id == input.device_id)
        row = (await session.scalars(query.with_for_update())).one()
        if row.interval_seconds != input.interval_seconds:
            session.add(
                tables.PastConfigRow(
                    device_id=row.id,
                    version=row.config_version,
                    interval_seconds=row.interval_seconds,
                    qos=row.qos,
                    updated_at=row.config_updated_at,
                    updated_by=row.config_updated_by,
                )
            )
            before = {"version": row.config_version, "intervalSeconds": row.interval_seconds}
            row.config_version += 1
            row.interval_seconds = input.interval_seconds
            row.config_updated_at = datetime.now(UTC)
            after = {"version": row.config_version, "intervalSeconds": row.interval_seconds}
            event = {"kind": "config_changed", "device_id": row.id, "owner_id": row.owner_id}
            session.add(EventRow(**event, actor="admin:1", before=before, after=after))
            await session.commit()
        return UpdateConfigPayload(config=config_of(row), errors=[])


async def request_session() -> AsyncIterator[AsyncSession]:
    async with sessions() as session:
        yield session


def create() -> FastAPI:
    from starlette.requests import Request  # noqa: PLC0415

    async def context(
        request: Request,
        session: AsyncSession = Depends(request_session),  # noqa: B008  as tutorials do
    ) -> dict[str, Any]:
        secret = request.headers["authorization"].removeprefix("Bearer ")
        query = select(TokenRow).where(TokenRow.hash == hash_token(secret))
        return {"session": session, "token": (await session.scalars(query)).one()}

    app = FastAPI()
    schema = strawberry.Schema(query=Query, mutation=Mutation)
    app.include_router(GraphQLRouter(schema, context_getter=context), prefix="/graphql")
    return app
