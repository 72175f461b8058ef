import strawberry

from domain.mqtt.topics import Topics as TopicsRow


@strawberry.type(description="The MQTT topics of a device, at most 200 bytes each.")
class Topics:
    data: str = strawberry.field(
        description="`owner/location/measurement_type/device_id`: the device publishes here."
    )
    config: str = strawberry.field(description="Its config, retained; the device subscribes to it.")
    state: str = strawberry.field(
        description="Which config version it has applied, retained; the device publishes it."
    )
    status: str = strawberry.field(
        description="`online`, or as last will `offline`, retained; the device publishes it."
    )
    listen: list[str] = strawberry.field(
        description="Filters of other devices' measurements; the device subscribes to them."
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
