"""GraphQL requests to the registration server, and checks of its responses."""

import json

from esp_client.limits import is_filter, is_int, is_name

# Ids of trusted documents; their texts are in the server's folder schema/engine/trusted.
BOOT = b'{"documentId":"b"}'
REGISTER, ACKNOWLEDGE = "r", "a"
OUTCOMES = ("CREATED", "KNOWN", "RENEWED", "PENDING", "REJECTED")


def request(document: str, values: dict) -> bytes:
    """The request body, without variables that are None."""
    given = {name: value for name, value in values.items() if value is not None}
    return json.dumps({"documentId": document, "variables": given}).encode()


def facts(settings: object) -> tuple:
    """Names and values that a device with these settings reports about itself."""
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


def register(settings: object, applied: int | None) -> bytes:
    """The body of a registration."""
    return request(REGISTER, dict(facts(settings), applied=applied))


def payload(body: bytes, field: str) -> dict:
    """The payload of a root field. Raises ValueError if the response has none."""
    response = json.loads(body)
    if isinstance(response, dict) and isinstance(response.get("data"), dict):
        found = response["data"].get(field)
        if isinstance(found, dict):
            return found
    raise ValueError(message(response))


def message(response: object) -> str:
    try:
        return str(response["errors"][0]["message"])
    except (KeyError, IndexError, TypeError):
        return "the response is not from Rollcall"


def registration(found: dict) -> dict:
    """A checked payload of `registerDevice`. Raises ValueError if it can't be used."""
    if found.get("errors"):
        raise ValueError("; ".join(describe(error) for error in found["errors"]))
    if found.get("outcome") not in OUTCOMES:
        raise ValueError("the response has no outcome")
    if not isinstance(found.get("token"), (str, type(None))):
        raise ValueError("the token is not a string")
    device = found.get("device")
    if device is not None and not valid(with_leaves(device)):
        raise ValueError("the device is incomplete")
    if found.get("broker") is not None and not valid_broker(found["broker"]):
        raise ValueError("the broker is incomplete")
    if device is None and found["outcome"] not in ("PENDING", "REJECTED"):
        raise ValueError("the response has no device")
    return found


def from_boot(found: dict, id: str) -> dict:
    """Convert the response to a boot into a payload of `registerDevice`.

    Raises ValueError if it can't be used.
    """
    try:
        topics, config = found["t"], found["c"]
        device = {
            "id": id,
            "topics": {"data": topics["d"], "listen": topics["l"]},
            "config": {"version": config["v"], "intervalSeconds": config["i"], "qos": config["q"]},
        }
    except (KeyError, TypeError) as error:
        raise ValueError("the device is incomplete") from error
    return registration({"outcome": "KNOWN", "device": device})


def with_leaves(device: object) -> object:
    """Add the topics that follow from the base topic, in place."""
    try:
        topics = device["topics"]
        for leaf in ("config", "state", "status"):
            topics[leaf] = topics["data"] + "/" + leaf
    except (KeyError, TypeError):
        pass
    return device


def describe(error: object) -> str:
    if not isinstance(error, dict):
        return "unknown error"
    return str(error.get("field")) + ": " + str(error.get("message"))


def valid(device: object) -> bool:
    """True if topics and config are complete and within their limits."""
    try:
        topics, config = device["topics"], device["config"]
        names = [topics[name] for name in ("data", "config", "state", "status")]
        names.append(device["id"])
        return (
            all(is_name(name) for name in names)
            and isinstance(topics["listen"], list)
            and all(is_filter(name) for name in topics["listen"])
            and is_int(config["version"], 1, 0x7FFFFFFF)
            and is_int(config["intervalSeconds"], 1, 604800)
            and is_int(config["qos"], 0, 2)
        )
    except (KeyError, TypeError):
        return False


def valid_broker(broker: object) -> bool:
    """True if the address is complete. Host None: the server's host."""
    try:
        return (
            isinstance(broker["host"], (str, type(None)))
            and is_int(broker["port"], 1, 65535)
            and isinstance(broker["tls"], bool)
            and isinstance(broker.get("username"), (str, type(None)))
        )
    except (KeyError, TypeError, AttributeError):
        return False
