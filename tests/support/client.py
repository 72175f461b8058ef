"""A GraphQL client that sends text over HTTP and reads the responses."""

import json
from typing import Any

import httpx
from fastapi import FastAPI

REGISTER = """
mutation ($input: RegisterDeviceInput!) {
  registerDevice(input: $input) {
    outcome token retryAfterSeconds
    device { id owner location { place latitude longitude } measurementType sensorModel firmware
             state inSync topics { data config state status listen }
             config { version intervalSeconds qos updatedBy } appliedConfig { version } }
    broker { host port tls username }
    errors { code field message }
  }
}"""

BENCH = {
    "mac": "24:6f:28:aa:bb:cc",
    "owner": "Acme",
    "location": {"place": "Paris", "latitude": 48.85, "longitude": 2.35},
    "measurementType": "temperature",
    "sensorModel": "BME280",
    "firmware": "1.0.0",
}


class Api:
    """`address`: the client's IP address."""

    def __init__(self, app: FastAPI, token: str, address: str = "127.0.0.1") -> None:
        self.app = app
        transport = httpx.ASGITransport(app, client=(address, 123))
        self.http = httpx.AsyncClient(transport=transport, base_url="http://rollcall.test")
        self.admin = token

    def at(self, address: str) -> "Api":
        """Return a client of the same application with another IP address."""
        return Api(self.app, self.admin, address)

    async def close(self) -> None:
        await self.http.aclose()

    async def post(self, query: str, token: str | None = None, **variables: Any) -> httpx.Response:
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        body = json.dumps({"query": query, "variables": variables})
        return await self.http.post("/graphql", content=body, headers=headers)

    async def ask(self, query: str, token: str | None = None, **variables: Any) -> Any:
        """Return the data; assert that there are no errors. Without `token`: as administrator."""
        response = await self.post(query, token or self.admin, **variables)
        answer = response.json()
        assert response.status_code == 200, answer
        assert "errors" not in answer, answer
        return answer["data"]

    async def code(self, query: str, token: str | None, **variables: Any) -> str | None:
        """Return the code of the first error, or None if there is none."""
        answer = (await self.post(query, token, **variables)).json()
        errors = answer.get("errors")
        return errors[0]["extensions"]["code"] if errors else None

    async def change(
        self, mutation: str, token: str | None = None, *, fields: str = "", **values: Any
    ) -> Any:
        """Return the payload of a mutation that takes one `input`."""
        kind = mutation[0].upper() + mutation[1:] + "Input"
        query = (
            f"mutation ($input: {kind}!) {{ "
            f"{mutation}(input: $input) {{ {fields} errors {{ code field message }} }} }}"
        )
        return (await self.ask(query, token, input=values))[mutation]

    async def register(self, token: str | None, **changes: Any) -> Any:
        data = await self.ask(REGISTER, token, input={**BENCH, **changes})
        return data["registerDevice"]

    async def key(self, **values: Any) -> str:
        """Create a token and return its secret. The default kind is an enrolment key."""
        values = {"kind": "ENROL", **values}
        payload = await self.change("createToken", fields="secret token { id }", **values)
        assert payload["errors"] == []
        return str(payload["secret"])
