"""What is said to the registration desk, and what counts as an answer."""

import json

from esp_client.limits import is_filter, is_name, whole

# The server knows what these documents ask for: schema/engine/trusted in its repository.
BOOT = b'{"documentId":"b"}'
REGISTER, ACKNOWLEDGE = "r", "a"
OUTCOMES = ("CREATED", "KNOWN", "RENEWED", "PENDING", "REJECTED")


def request(document: str, values: dict) -> bytes:
    """The body, without the values that are not known."""
    known = {name: value for name, value in values.items() if value is not None}
    return json.dumps({"documentId": document, "variables": known}).encode()


def facts(settings: object) -> tuple:
    """What the device of these settings says of itself: names and values."""
    located = settings.latitude is not None and settings.longitude is not None
    return (
        ("mac", settings.mac),
        ("owner", settings.owner),
        ("place", settings.place),
        ("lat", settings.latitude if located else None),
        ("lon", settings.longitude if located else None),
        ("type", settings.measurement_type),
        ("model", settings.sensor_model),
        ("fw", settings.firmware),
    )


def registering(settings: object, applied: int | None) -> bytes:
    """The body that registers the device of these settings."""
    return request(REGISTER, dict(facts(settings), applied=applied))


def payload(body: bytes, field: str) -> dict:
    """What a root field gave. Raises ValueError for an answer that is none."""
    answer = json.loads(body)
    if isinstance(answer, dict) and isinstance(answer.get("data"), dict):
        found = answer["data"].get(field)
        if isinstance(found, dict):
            return found
    raise ValueError(message(answer))


def message(answer: object) -> str:
    try:
        return str(answer["errors"][0]["message"])
    except (KeyError, IndexError, TypeError):
        return "the answer is not one of Rollcall's"


def registration(found: dict) -> dict:
    """A payload of `registerDevice` that can be relied on. Raises ValueError otherwise."""
    if found.get("errors"):
        raise ValueError("; ".join(mistake(error) for error in found["errors"]))
    if found.get("outcome") not in OUTCOMES:
        raise ValueError("the answer has no outcome")
    if not isinstance(found.get("token"), (str, type(None))):
        raise ValueError("the answer's token is no string")
    device = found.get("device")
    if device is not None and not valid(with_leaves(device)):
        raise ValueError("the answer's device is not complete")
    if found.get("broker") is not None and not reachable(found["broker"]):
        raise ValueError("the answer's broker is not complete")
    if device is None and found["outcome"] not in ("PENDING", "REJECTED"):
        raise ValueError("the answer has no device")
    return found


def booted(found: dict, id: str) -> dict:
    """As a payload of `registerDevice`: what a boot tells of the device with this id.

    Raises ValueError for what can't be relied on.
    """
    try:
        topics, config = found["t"], found["c"]
        device = {
            "id": id,
            "topics": {"data": topics["d"], "listen": topics["l"]},
            "config": {"version": config["v"], "intervalSeconds": config["i"], "qos": config["q"]},
        }
    except (KeyError, TypeError) as error:
        raise ValueError("the answer's device is not complete") from error
    return registration({"outcome": "KNOWN", "device": device})


def with_leaves(device: object) -> object:
    """With the topics that follow from the base topic, in place."""
    try:
        topics = device["topics"]
        for leaf in ("config", "state", "status"):
            topics[leaf] = topics["data"] + "/" + leaf
    except (KeyError, TypeError):
        pass
    return device


def mistake(error: object) -> str:
    if not isinstance(error, dict):
        return "unknown error"
    return str(error.get("field")) + ": " + str(error.get("message"))


def valid(device: object) -> bool:
    """Whether topics and config are all there, and within their limits."""
    try:
        topics, config = device["topics"], device["config"]
        names = [topics[name] for name in ("data", "config", "state", "status")]
        names.append(device["id"])
        return (
            all(is_name(name) for name in names)
            and isinstance(topics["listen"], list)
            and all(is_filter(name) for name in topics["listen"])
            and whole(config["version"], 1, 0x7FFFFFFF)
            and whole(config["intervalSeconds"], 1, 604800)
            and whole(config["qos"], 0, 2)
        )
    except (KeyError, TypeError):
        return False


def reachable(broker: object) -> bool:
    """Whether it says where the broker is; host None: where this server is."""
    try:
        return (
            isinstance(broker["host"], (str, type(None)))
            and whole(broker["port"], 1, 65535)
            and isinstance(broker["tls"], bool)
            and isinstance(broker.get("username"), (str, type(None)))
        )
    except (KeyError, TypeError, AttributeError):
        return False
