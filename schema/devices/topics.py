import strawberry

from domain.mqtt.topics import Topics as TopicsRow


@strawberry.type(description="The MQTT topics of a device, at most 200 bytes each.")
class Topics:
    data: str = strawberry.field(
        description="Base topic, `owner/location/measurement_type/device_id`: the device publishes "
        "measurements here."
    )
    config: str = strawberry.field(
        description="Topic of its desired config, retained; the device subscribes to it."
    )
    state: str = strawberry.field(
        description="Topic where the device publishes which config version it applied, retained."
    )
    status: str = strawberry.field(
        description="Topic where the device publishes its presence, retained: `online`, or "
        "`offline` as its last will."
    )
    listen: list[str] = strawberry.field(
        description="Topic filters of other devices' measurements; the device subscribes to them."
    )

    @classmethod
    def of(cls, topics: TopicsRow) -> "Topics":
        return cls(
            data=topics.data,
            config=topics.config,
            state=topics.state,
            status=topics.status,
            listen=list(topics.listen),
        )
