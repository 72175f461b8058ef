"""The short ways for a fleet that boots for the first time; all else is left to `register.py`.

At first: nobody knows the device, its owner, place and type have been seen here before,
the key is not counted, and nobody has to approve it. Again: it has not used the token that it
was given.
"""

from db.writes.create_device import NewDevice, Renewal
from domain.access.caller import Caller
from domain.access.tokens import TokenKind, hash_secret, new_secret
from domain.devices.device import DeviceView
from domain.devices.enrolment import DeviceState, EnrolmentPolicy, Outcome
from domain.devices.facts import registered_facts
from domain.devices.identity import device_id
from domain.devices.inputs import Registration
from domain.devices.search_words import all_words
from domain.mqtt.accounts import mosquitto_hash
from domain.mqtt.topics import base_topic
from resolvers.devices.topic_levels import first_values
from resolvers.services import Desk


async def register_quickly(
    desk: Desk, caller: Caller, wanted: Registration
) -> tuple[Outcome, DeviceView, str] | None:
    """The device, new or as it is, and its new token, committed; None where this is not the way.

    Raises Unavailable and Overloaded.
    """
    if caller.kind is TokenKind.DEVICE or caller.max_uses is not None:
        return None
    if desk.enrolment is EnrolmentPolicy.APPROVE and caller.kind is not TokenKind.ADMIN:
        return None
    device = _device(desk, caller, wanted)
    if device is None:
        return None
    secret = new_secret(TokenKind.DEVICE)
    number = await desk.registrar.add(
        NewDevice(
            device.id,
            device.owner_id,
            device.place_id,
            device.measurement_type_id,
            device.topic,
            device.latitude,
            device.longitude,
            device.sensor_model,
            device.firmware,
            caller.actor,
            all_words(device),
            hash_secret(secret),
            mosquitto_hash(secret),
            caller.token_id if caller.kind is TokenKind.ENROL else None,
            registered_facts(device),
            device.registered_at,
            device.last_seen_at,
        )
    )
    if number is not None:
        device.number = number
        return Outcome.CREATED, device, secret
    known = await _renew(desk, caller, device, secret)
    return (Outcome.RENEWED, known, secret) if known else None


async def _renew(desk: Desk, caller: Caller, device: DeviceView, secret: str) -> DeviceView | None:
    """The device as it is, where it has lost the answer to its first registration."""
    if caller.kind is TokenKind.ADMIN:
        return None
    renewal = Renewal(
        device.id,
        caller.owner_id,
        hash_secret(secret),
        mosquitto_hash(secret),
        caller.token_id,
        caller.actor,
        device.registered_at,
    )
    if await desk.registrar.renew(renewal) is None:
        return None
    return await desk.reader.device(device.id)


def _device(desk: Desk, caller: Caller, wanted: Registration) -> DeviceView | None:
    """As it will be; None where its levels are not known here."""
    place, type = wanted.location.place, wanted.measurement_type
    levels = desk.registrar.levels
    names = levels.get(wanted.owner, place, type) if wanted.owner else None
    if caller.owner_id is not None:
        own = levels.get(caller.owner_id, place, type)
        names = own if wanted.owner is None or own == names else None
    if names is None:
        return None
    owner, at, kind = names
    id = device_id(wanted.mac)
    return DeviceView.of(
        names,
        **first_values(caller, wanted, DeviceState.ACTIVE),
        topic=base_topic(owner.slug, at.slug, kind.slug, id),
        config_version=1,
    )
