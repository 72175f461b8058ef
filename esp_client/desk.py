"""What is said to the registration desk, and what counts as an answer."""

import json

from esp_client.limits import is_filter, is_name, whole

REGISTER = (
    "mutation($i:RegisterDeviceInput!){registerDevice(input:$i){outcome token retryAfterSeconds "
    "device{id topics{data config state status listen}config{version intervalSeconds qos}}"
    "broker{host port tls username}errors{code field message}}}"
)
ACKNOWLEDGE = (
    "mutation($i:AcknowledgeConfigInput!){acknowledgeConfig(input:$i){errors{code field message}}}"
)
OUTCOMES = ("CREATED", "KNOWN", "RENEWED", "PENDING", "REJECTED")


def request(document: str, values: dict) -> bytes:
    """The body, without the values that are not known."""
    known = {name: value for name, value in values.items() if value is not None}
    return json.dumps({"query": document, "variables": {"i": known}}).encode()


def registering(settings: object, applied: int | None) -> bytes:
    """The body that registers the device of these settings."""
    where = {"place": settings.place}
    if settings.latitude is not None and settings.longitude is not None:
        where["latitude"] = settings.latitude
        where["longitude"] = settings.longitude
    values = {
        "mac": settings.mac,
        "owner": settings.owner,
        "location": where,
        "measurementType": settings.measurement_type,
        "sensorModel": settings.sensor_model,
        "firmware": settings.firmware,
        "appliedVersion": applied,
    }
    return request(REGISTER, values)


def payload(body: bytes, mutation: str) -> dict:
    """What the mutation gave. Raises ValueError for an answer that is none."""
    answer = json.loads(body)
    if isinstance(answer, dict) and isinstance(answer.get("data"), dict):
        found = answer["data"].get(mutation)
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
    if device is not None and not valid(device):
        raise ValueError("the answer's device is not complete")
    if found.get("broker") is not None and not reachable(found["broker"]):
        raise ValueError("the answer's broker is not complete")
    if device is None and found["outcome"] not in ("PENDING", "REJECTED"):
        raise ValueError("the answer has no device")
    return found


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
