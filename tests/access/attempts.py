"""Attempts of a caller at everything in the matrix, each with the objects of one owner."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosed

from domain.mqtt.topics import Topics
from resolvers.access.mqtt import broker_login, broker_rights
from server.http.errors import close_code
from tests.access.matrix import DONE, NOTHING, REFUSED
from tests.access.requests import Target, documents
from tests.conftest import ADMIN
from tests.events.live.serving import Instance, Socket

EVENT_ADDED = """subscription ($device: ID!) {
  eventAdded(deviceId: $device, after: "0") { kind owner } }"""
CONFIG_CHANGED = """subscription ($device: ID!) {
  configChanged(deviceId: $device, after: "0") { cursor } }"""
ADMINISTRATION = """query ($owner: String!) {
  events(first: 1, filter: {owner: $owner, kinds: [TOKEN_CREATED]}) { nodes { owner } } }"""
DENIED = {"UNAUTHENTICATED", "FORBIDDEN"}
FAULTS = {"BAD_DOCUMENT", "OVER_LIMIT", "INTERNAL"}
INVISIBLE = {"NOT_FOUND", "NOT_ALLOWED"}
LISTS = {"devices", "fleet", "events", "tokens", "recipients", "telegramInvites", "deliveries"} | {
    "enrolmentRequests"
}
# Filters of topics that are not a device's.
SERVER_TOPICS = {"Acme": "_rollcall/#", "Globex": "$SYS/#"}


@dataclass(frozen=True)
class Attempts:
    """`secret`: the caller's token. `username`: its name at the broker."""

    one: Instance
    secret: str | None
    username: str

    async def __call__(self, row: str, target: Target) -> str:
        """Return what the attempt shows: REFUSED, NOTHING or DONE."""
        kind, _, name = row.partition(" ")
        if "delete" in row.lower():
            await self._restore(target)
        match kind:
            case "query" | "mutation":
                return await self._field(name, target)
            case "subscription":
                query = CONFIG_CHANGED if name == "configChanged" else EVENT_ADDED
                return await self._subscription({"query": query}, target)
            case "route":
                return await self._route(name, target)
            case "document":
                return await self._document(name, target)
        return await self._topic(kind, name, target)

    async def _restore(self, target: Target) -> None:
        """Register the device again if an attempt of another row has deleted it."""
        query = f'{{ device(id: "{target.device}") {{ id }} }}'
        if (await self.one.api.ask(query))["device"] is None:
            await self.one.api.register(ADMIN, mac=target.mac, owner=target.owner)

    async def _post(self, **body: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.secret}"} if self.secret else {}
        response = await self.one.api.http.post("/graphql", json=body, headers=headers)
        return response.json()

    async def _field(self, name: str, target: Target) -> str:
        if name == "events of administration":
            answer = await self._post(query=ADMINISTRATION, variables={"owner": target.owner})
            return _outcome("events", answer, target)
        query, variables = documents(target)[name]
        return _outcome(name, await self._post(query=query, variables=variables), target)

    async def _document(self, name: str, target: Target) -> str:
        if name == "changes":
            return await self._subscription({"documentId": name}, target)
        answer = await self._post(documentId=name, variables=_variables(name, target))
        field = next(iter(answer["data"] or {"": None})) if "data" in answer else ""
        return _outcome(field, answer, target)

    async def _route(self, line: str, target: Target) -> str:
        method, path = line.split()
        headers = {"Authorization": f"Bearer {self.secret}"} if self.secret else {}
        body = _bodies(target).get(line)
        response: httpx.Response = await self.one.api.http.request(
            method, path.replace("{id}", target.device), json=body, headers=headers
        )
        value = response.json()
        if codes := {error["code"] for error in value.get("errors", ())}:
            return _by_codes(codes)
        return _listed(value, target) if line == "GET /devices" else DONE

    async def _subscription(self, payload: Mapping[str, Any], target: Target) -> str:
        """Subscribe to past events of the target's device, or to all up to a new one of Acme."""
        variables = {"device": target.device} if "query" in payload else {"after": "0"}
        try:
            async with await Socket.open(self.one.url, self.secret) as socket:
                message = {"type": "subscribe", "id": "1"}
                await socket.send({**message, "payload": {**payload, "variables": variables}})
                first = await socket.message()
                if first["type"] == "error":
                    return _by_codes({e["extensions"]["code"] for e in first["payload"]})
                if "query" in payload:
                    return DONE
                return await self._until_change_of_acme(socket, first, target)
        except ConnectionClosed as closed:
            if closed.rcvd is None or closed.rcvd.code != close_code("UNAUTHENTICATED"):
                raise
            return REFUSED

    async def _until_change_of_acme(self, socket: Socket, message: Any, target: Target) -> str:
        api = self.one.api
        devices = (await api.ask("{ devices { nodes { id owner } } }"))["devices"]["nodes"]
        [acme] = [device["id"] for device in devices if device["owner"] == "Acme"]
        query = f'{{ device(id: "{acme}") {{ config {{ intervalSeconds }} }} }}'
        interval = (await api.ask(query))["device"]["config"]["intervalSeconds"] + 1
        await api.change("updateConfig", deviceId=acme, intervalSeconds=interval)
        seen = set()
        while True:
            change = message["payload"]["data"]["configChanged"]
            seen.add(change["device"]["id"])
            if change["device"]["id"] == acme and change["config"]["intervalSeconds"] == interval:
                return DONE if target.device in seen else NOTHING
            message = await socket.message()

    async def _topic(self, action: str, topic_class: str, target: Target) -> str:
        services = self.one.app.state.database_supervisor.services
        token = await broker_login(services, self.username, self.secret or "")
        rights = (await broker_rights(services, [token])).get(token) if token else None
        if rights is None:
            return REFUSED
        topic = SERVER_TOPICS[target.owner]
        if topic_class != "server":
            query = (
                f'{{ topics(deviceId: "{target.device}") {{ data config state status listen }} }}'
            )
            topics = Topics(**(await self.one.api.ask(query))["topics"])
            found = getattr(topics, topic_class)
            topic = found if isinstance(found, str) else found[0]
        may = rights.may_publish if action == "publish" else rights.may_subscribe
        return DONE if may(topic) else NOTHING


def _outcome(name: str, answer: Any, target: Target) -> str:
    if codes := {error["extensions"]["code"] for error in answer.get("errors", ())}:
        return _by_codes(codes)
    value = answer["data"][name]
    if value is None:
        return NOTHING
    if name in LISTS:
        return _listed(value, target)
    if isinstance(value, dict) and value.get("errors"):
        return _by_codes({error["code"] for error in value["errors"]})
    return DONE


def _listed(value: Any, target: Target) -> str:
    return DONE if f'"owner": "{target.owner}"' in json.dumps(value) else NOTHING


def _by_codes(codes: set[str]) -> str:
    """Other errors than these two are about the values: the caller may do this."""
    assert not codes & FAULTS, codes
    return REFUSED if codes & DENIED else NOTHING if codes & INVISIBLE else DONE


def _variables(document: str, target: Target) -> dict[str, Any]:
    id = {"id": target.device}
    return {
        "acknowledge": {"v": 1},
        "boot": {},
        "config": id,
        "configure": {**id, "qos": 2},
        "delete": id,
        "device": id,
        "devices": {},
        "find": {},
        "register": _registration(target),
        "settings": {**id, "interval": 7},
        "topics": id,
        "update": {**id, "firmware": "9"},
    }[document]


def _bodies(target: Target) -> dict[str, dict[str, Any]]:
    return {
        "POST /register": _registration(target),
        "POST /config/{id}": {"qos": 2},
        "PUT /devices/{id}": {"firmware": "9"},
    }


def _registration(target: Target) -> dict[str, Any]:
    where = {"owner": target.owner, "place": target.place}
    return {"mac": target.mac, **where, "type": "temperature"}
