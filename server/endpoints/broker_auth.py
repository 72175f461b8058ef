"""`POST /mqtt/auth`: brokers that ask over HTTP who may connect, and what for.

In the shape that EMQX documents for its HTTP authenticator and HTTP authorizer.
"""

import json
from secrets import compare_digest
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from domain.access.caller import Caller
from domain.access.tokens import TokenKind
from domain.devices.identity import is_device_id
from domain.errors import RollcallError, Unauthenticated, Unavailable
from resolvers.access.mqtt import broker_login, rights_of_user
from resolvers.services import Services
from server.graphql.service import GraphQLService
from server.http.body import BadRequest, read_body
from server.http.errors import RESPONSES

MAX_BYTES = 16_384
PEOPLE = (TokenKind.ADMIN, TokenKind.VIEWER)


class BrokerAuth:
    """`server`: user name and password by which this server itself connects, if it has any.

    200 with `result` allow, deny or ignore; 401 without a viewer's or an administrator's token of
    the whole fleet; 400 for another shape; 503 while the database is away.
    """

    def __init__(self, service: GraphQLService, server: tuple[str | None, str | None]) -> None:
        self._service = service
        self._server = server

    async def __call__(self, http: Request) -> Response:
        try:
            await self._check_caller(http)
            asked = await _asked(http)
            if "action" in asked:
                return await self._may(asked)
            return await self._is(asked)
        except (Unauthenticated, Unavailable) as error:
            return _failed(RESPONSES[error.code].status, str(error))
        except BadRequest as wrong:
            return _failed(wrong.status, wrong.message)

    async def _check_caller(self, http: Request) -> None:
        try:
            caller = await self._service.caller(http.headers.get("authorization"), None)
        except Unavailable:
            raise
        except RollcallError as error:
            raise Unauthenticated(str(error)) from None
        if not _sees_all(caller):
            raise Unauthenticated("Send a viewer's or an admin's token of the whole fleet.")

    async def _is(self, asked: dict[str, str]) -> Response:
        """Whether somebody is who they say."""
        username, password = asked.get("username", ""), asked.get("password", "")
        if username == self._server[0]:
            own = self._server[1]
            right = own is not None and compare_digest(password.encode(), own.encode())
            return _result(right, is_superuser=right)
        client = asked.get("clientid", username)
        if is_device_id(client) and client != username:
            # A broker ends the connection that has the same client id.
            return _result(allowed=False)
        return _result(await broker_login(self._services(), username, password) is not None)

    async def _may(self, asked: dict[str, str]) -> Response:
        """Whether somebody may publish or subscribe."""
        rights = await rights_of_user(self._services(), asked.get("username", ""))
        topic = asked.get("topic", "")
        if asked["action"] == "publish":
            return _result(rights is not None and rights.may_publish(topic))
        if asked["action"] == "subscribe":
            return _result(rights is not None and rights.may_subscribe(topic))
        raise BadRequest(400, "`action` must be publish or subscribe.")

    def _services(self) -> Services:
        return self._service.services()


def _sees_all(caller: Caller) -> bool:
    return caller.kind in PEOPLE and caller.owner_id is None


async def _asked(http: Request) -> dict[str, str]:
    """The values that are texts. Raises BadRequest."""
    try:
        values: Any = json.loads(await read_body(http, MAX_BYTES))
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise BadRequest(400, "Send a JSON object with username and password, or action and topic.")
    return {key: value for key, value in values.items() if isinstance(value, str)}


def _result(allowed: bool, *, is_superuser: bool = False) -> Response:
    return JSONResponse({"result": "allow" if allowed else "deny", "is_superuser": is_superuser})


def _failed(status: int, message: str) -> Response:
    return JSONResponse({"result": "ignore", "message": message}, status)
