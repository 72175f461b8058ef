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
        "CREATED: a new device. KNOWN: a known device that used its own token, which stays valid. "
        "RENEWED: a known device gets a new token. PENDING: waits for an administrator; a token in "
        "this response is valid once the device is approved. REJECTED: refused by an administrator."
    ),
)


@strawberry.input(description="The location of a device: a place, and both coordinates or none.")
class LocationInput:
    place: str = strawberry.field(description="The city's or room's name, 1 to 64 characters.")
    latitude: float | None = strawberry.field(default=None, description="Degrees north, -90 to 90.")
    longitude: float | None = strawberry.field(
        default=None, description="Degrees east, -180 to 180."
    )


@strawberry.input(description="Properties of the device that registers.")
class RegisterDeviceInput:
    mac: str = strawberry.field(
        description="The MAC address, EUI-48 or EUI-64, in any usual notation."
    )
    location: LocationInput = strawberry.field(description="Where the device is.")
    measurement_type: str = strawberry.field(
        description="What the device measures, such as `temperature`, 1 to 64 characters."
    )
    owner: str | None = strawberry.field(
        default=None,
        description="The company or person that the device belongs to, 1 to 64 characters. May be "
        "omitted if the enrolment key is restricted to one owner.",
    )
    sensor_model: str | None = strawberry.field(
        default=None, description="The sensor model, such as `BME280`, 1 to 64 characters."
    )
    firmware: str | None = strawberry.field(
        default=None, description="The firmware version, 1 to 64 characters."
    )
    applied_version: int | None = strawberry.field(
        default=None, description="The config version that the device has applied."
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


@strawberry.type(description="What the device needs to run.")
class RegisterDevicePayload:
    outcome: Result | None = strawberry.field(
        default=None, description="Result of the registration; null if there are errors."
    )
    device: Device | None = strawberry.field(
        default=None,
        description="The device with its topics and config; null if it may not run.",
    )
    token: str | None = strawberry.field(
        default=None,
        description="A new token to store; shown only once. Null: the device keeps its token.",
    )
    retry_after_seconds: int | None = strawberry.field(
        default=None,
        description="Seconds until the device should register again, if PENDING or REJECTED.",
    )
    broker: Broker | None = strawberry.field(
        default=None, description="The MQTT broker; null if none is configured."
    )
    errors: list[UserError] = errors_field()


@strawberry.mutation(
    description="Registers a device: at its first boot with an enrolment key, later with its own "
    "token. The same MAC address always gets the same id, topics and config.",
    extensions=[UserErrors(RegisterDevicePayload)],
)
async def register_device(info: RollcallInfo, input: RegisterDeviceInput) -> RegisterDevicePayload:
    context = info.context
    services = context.services
    wanted = RegistrationInput.check(values_of(input))
    result = await register.register_device(services, context.caller, wanted, context.caller_device)
    device = result.device
    return RegisterDevicePayload(
        outcome=result.outcome,
        device=Device(row=device) if device else None,
        token=result.token,
        retry_after_seconds=result.retry_after_seconds,
        broker=Broker.of(services.broker, device.id) if device and services.broker else None,
    )
