"""Open requests for approval, as administrators see them."""

from typing import Any

from tests.support.client import BENCH, REGISTER, Api

FIELDS = (
    "id address sensorModel firmware timesAsked requestedAt lastAskedAt conflict foreignOwner "
    "key { id note } device { id owner }"
)
REQUESTS = f"{{ enrolmentRequests {{ nodes {{ {FIELDS} }} }} }}"
BENCH_ID = "ec42179b76a53de03a9ace42975a4fc6"


async def open_requests(api: Api, token: str | None = None) -> list[dict[str, Any]]:
    """Return the open requests, newest first. Without `token`: as administrator."""
    found: list[dict[str, Any]] = (await api.ask(REQUESTS, token))["enrolmentRequests"]["nodes"]
    return found


async def used_device(api: Api, **values: Any) -> str:
    """Register the device with a key of its own, and use its token. Return the token."""
    token = str((await api.register(await api.key(), **values))["token"])
    await api.register(token)
    return token


async def ask_from(api: Api, address: str, key: str | None, **changes: Any) -> Any:
    """Register from an address, and return the answer."""
    client = api.at(address)
    try:
        response = await client.post(REGISTER, key, input={**BENCH, **changes})
    finally:
        await client.close()
    return response.json()["data"]["registerDevice"]
