"""The record of a device that registers, and its conditional writes."""

from datetime import UTC, datetime
from typing import Any

from domain.access.caller import Caller
from domain.access.tokens import TokenKind, hash_token
from domain.devices.config import DEFAULT_INTERVAL_SECONDS, DEFAULT_QOS
from domain.devices.device import DeviceRecord, NamedRef
from domain.devices.enrolment import DeviceState
from domain.devices.facts import registered_facts
from domain.devices.identity import device_id
from domain.devices.inputs import RegistrationInput
from domain.devices.search_words import all_words
from domain.devices.writes import CreateDevice, IssueToken, RequestApproval
from domain.mqtt.accounts import mosquitto_hash
from domain.mqtt.topics import base_topic


def new_device(
    caller: Caller,
    wanted: RegistrationInput,
    names: tuple[NamedRef, NamedRef, NamedRef],
    config_version: int,
) -> DeviceRecord:
    """Return the device as an active one, still without its `number`.

    `names`: its owner, place and type.
    """
    owner, place, type = names
    id = device_id(wanted.mac)
    return DeviceRecord.of(
        names,
        **_initial_values(caller, wanted),
        topic=base_topic(owner.slug, place.slug, type.slug, id),
        config_version=config_version,
    )


def creation(caller: Caller, device: DeviceRecord, secret: str) -> CreateDevice:
    return CreateDevice(
        id=device.id,
        owner_id=device.owner_id,
        place_id=device.place_id,
        measurement_type_id=device.measurement_type_id,
        topic=device.topic,
        latitude=device.latitude,
        longitude=device.longitude,
        sensor_model=device.sensor_model,
        firmware=device.firmware,
        state=device.state,
        waiting=device.awaits_approval,
        config_version=device.config_version,
        interval_seconds=device.interval_seconds,
        qos=device.qos,
        actor=caller.actor,
        words=all_words(device),
        hash=hash_token(secret),
        mqtt_hash=mosquitto_hash(secret),
        issued_by=_issued_by(caller),
        address=caller.address,
        counted_key=caller.token_id if caller.max_uses is not None else None,
        facts=registered_facts(device),
        at=device.registered_at,
        last_seen_at=device.last_seen_at,
    )


def renewal(caller: Caller, id: str, access_revision: int, secret: str) -> IssueToken:
    """An administrator decides for the device, so its renewal ends the open requests."""
    return IssueToken(
        id=id,
        access_revision=access_revision,
        hash=hash_token(secret),
        mqtt_hash=mosquitto_hash(secret),
        issued_by=_issued_by(caller),
        ends_requests=caller.kind is TokenKind.ADMIN,
        at=datetime.now(UTC),
        actor=caller.actor,
    )


def approval_request(
    caller: Caller,
    wanted: RegistrationInput,
    access_revision: int,
    secret: str,
    *,
    repeats: int | None,
    foreign_owner: bool,
) -> RequestApproval:
    return RequestApproval(
        id=device_id(wanted.mac),
        access_revision=access_revision,
        repeats=repeats,
        hash=hash_token(secret),
        mqtt_hash=mosquitto_hash(secret),
        key_id=_issued_by(caller),
        address=caller.address,
        sensor_model=wanted.sensor_model,
        firmware=wanted.firmware,
        foreign_owner=foreign_owner,
        at=datetime.now(UTC),
        actor=caller.actor,
    )


def _issued_by(caller: Caller) -> int | None:
    """Return the enrolment key, which can register again if the response is lost; else None."""
    return caller.token_id if caller.kind is TokenKind.ENROL else None


def _initial_values(caller: Caller, wanted: RegistrationInput) -> dict[str, Any]:
    """The columns of a new device that follow from the caller and the input."""
    now = datetime.now(UTC)
    return {
        "id": device_id(wanted.mac),
        "latitude": wanted.location.latitude,
        "longitude": wanted.location.longitude,
        "listen": [],
        "sensor_model": wanted.sensor_model,
        "firmware": wanted.firmware,
        "state": DeviceState.ACTIVE,
        "awaits_approval": False,
        "interval_seconds": DEFAULT_INTERVAL_SECONDS,
        "qos": DEFAULT_QOS,
        "config_updated_at": now,
        "config_updated_by": caller.actor,
        "online": False,
        "last_seen_at": now if caller.kind is not TokenKind.ADMIN else None,
        "registered_at": now,
        "updated_at": now,
    }
