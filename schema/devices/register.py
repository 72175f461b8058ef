import strawberry

from domain.devices.enrolment import Outcome as Result
from domain.devices.inputs import RegistrationInput
from resolvers.devices import register
from resolvers.services import BrokerAddress as BrokerRow
from schema.common.user_errors import UserError, UserErrors, errors_field
from schema.common.values import values_of
from schema.context import RollcallInfo
from schema.devices.device import Device

Outcome = strawberry.enum(
    Result,
    name="RegistrationOutcome",
    description=(
        "CREATED: a new device. KNOWN: answered by its own token, which stays. RENEWED: known, "
        "with a new token. PENDING: waits for an administrator; a token that comes with it works "
        "once it is approved. REJECTED: an administrator said no."
    ),
)


@strawberry.input(description="Where a device stands: a place, and both coordinates or neither.")
class LocationInput:
    place: str = strawberry.field(description="The city's or room's name, 1 to 64 characters.")
    latitude: float | None = strawberry.field(default=None, description="Degrees north, -90 to 90.")
    longitude: float | None = strawberry.field(
        default=None, description="Degrees east, -180 to 180."
    )


@strawberry.input(description="What a device says of itself.")
class RegisterDeviceInput:
    mac: str = strawberry.field(
        description="Its MAC address, EUI-48 or EUI-64, in any usual notation."
    )
    location: LocationInput = strawberry.field(description="Where it stands.")
    measurement_type: str = strawberry.field(
        description="What it measures, such as `temperature`, 1 to 64 characters."
    )
    owner: str | None = strawberry.field(
        default=None,
        description="The company or person it belongs to, 1 to 64 characters; may be left out "
        "where the enrolment key belongs to one owner.",
    )
    sensor_model: str | None = strawberry.field(
        default=None, description="Such as `BME280`, 1 to 64 characters."
    )
    firmware: str | None = strawberry.field(
        default=None, description="The version of its firmware, 1 to 64 characters."
    )
    applied_version: int | None = strawberry.field(
        default=None, description="The config version it has applied already."
    )


@strawberry.type(description="The MQTT broker to connect to.")
class Broker:
    host: str | None = strawberry.field(
        description="Host name or address; null: the host of this server."
    )
    port: int = strawberry.field(description="TCP port.")
    tls: bool = strawberry.field(description="Whether the connection is encrypted.")
    username: str = strawberry.field(
        description="The device's id; the password is the device's token."
    )

    @classmethod
    def of(cls, broker: BrokerRow, username: str) -> "Broker":
        return cls(host=broker.host, port=broker.port, tls=broker.tls, username=username)


@strawberry.type(description="What a device needs to know.")
class RegisterDevicePayload:
    outcome: Result | None = strawberry.field(
        default=None, description="What became of it; null if there are errors."
    )
    device: Device | None = strawberry.field(
        default=None, description="The device with topics and config; null unless it may run."
    )
    token: str | None = strawberry.field(
        default=None,
        description="A new token, shown once: keep it. Null: go on with the one you have.",
    )
    retry_after_seconds: int | None = strawberry.field(
        default=None, description="When to ask again, where it is PENDING or REJECTED."
    )
    broker: Broker | None = strawberry.field(
        default=None, description="The MQTT broker; null if none is configured."
    )
    errors: list[UserError] = errors_field()


@strawberry.mutation(
    description="A device says who it is, at its first boot with an enrolment key, at later ones "
    "with its own token. The same MAC address always gets the same id, topics and config.",
    extensions=[UserErrors(RegisterDevicePayload)],
)
async def register_device(info: RollcallInfo, input: RegisterDeviceInput) -> RegisterDevicePayload:
    context = info.context
    services = context.services
    wanted = RegistrationInput.check(values_of(input))
    result = await register.register_device(services, context.caller, wanted, context.own)
    device = result.device
    return RegisterDevicePayload(
        outcome=result.outcome,
        device=Device(row=device) if device else None,
        token=result.token,
        retry_after_seconds=result.retry_after_seconds,
        broker=Broker.of(services.broker, device.id) if device and services.broker else None,
    )
