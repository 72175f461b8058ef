"""`POST /mqtt/auth`: authentication and authorization for MQTT brokers, over HTTP.

The format is that of EMQX's HTTP authenticator and HTTP authorizer.
"""

import json
from collections.abc import Mapping
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
    """`server`: user name and password of this server at the broker, if any.

    200 with `result` allow, deny or ignore. 401 without a viewer's or admin's token of the whole
    fleet, 400 for another format, 408 or 413 for a body that is too slow or too large, 503 while
    the database is not available.
    """

    def __init__(self, service: GraphQLService, server: tuple[str | None, str | None]) -> None:
        self._service = service
        self._server = server

    async def __call__(self, http: Request) -> Response:
        try:
            await self._check_caller(http)
            values = await _read_values(http)
            if "action" in values:
                return await self._authorize(values)
            return await self._authenticate(values)
        except (Unauthenticated, Unavailable) as error:
            return _failed(RESPONSES[error.code].status, str(error))
        except BadRequest as error:
            return _failed(error.status, error.message, error.headers)

    async def _check_caller(self, http: Request) -> None:
        try:
            caller = await self._service.caller(http.headers.get("authorization"), None)
        except Unavailable:
            raise
        except RollcallError as error:
            raise Unauthenticated(str(error)) from None
        if not _sees_all(caller):
            raise Unauthenticated("Send a viewer's or an admin's token of the whole fleet.")

    async def _authenticate(self, values: dict[str, str]) -> Response:
        """Check a user name and password."""
        username, password = values.get("username", ""), values.get("password", "")
        if username == self._server[0]:
            expected = self._server[1]
            valid = expected is not None and compare_digest(password.encode(), expected.encode())
            return _result(valid, is_superuser=valid)
        client = values.get("clientid", username)
        if is_device_id(client) and client != username:
            # A broker closes the existing connection with the same client id.
            return _result(allowed=False)
        return _result(await broker_login(self._services(), username, password) is not None)

    async def _authorize(self, values: dict[str, str]) -> Response:
        """Check whether a user may publish or subscribe."""
        rights = await rights_of_user(self._services(), values.get("username", ""))
        topic = values.get("topic", "")
        if values["action"] == "publish":
            return _result(rights is not None and rights.may_publish(topic))
        if values["action"] == "subscribe":
            return _result(rights is not None and rights.may_subscribe(topic))
        raise BadRequest(400, "`action` must be publish or subscribe.")

    def _services(self) -> Services:
        return self._service.services()


def _sees_all(caller: Caller) -> bool:
    return caller.kind in PEOPLE and caller.owner_id is None


async def _read_values(http: Request) -> dict[str, str]:
    """Return the values that are strings. Raises BadRequest if the body is not a JSON object."""
    try:
        values: Any = json.loads(await read_body(http, MAX_BYTES))
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise BadRequest(400, "Send a JSON object with username and password, or action and topic.")
    return {key: value for key, value in values.items() if _is_text(value)}


def _is_text(value: Any) -> bool:
    """Whether it is a string that MQTT allows (3.1.1, section 1.5.3)."""
    if not isinstance(value, str) or "\0" in value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _result(allowed: bool, *, is_superuser: bool = False) -> Response:
    return JSONResponse({"result": "allow" if allowed else "deny", "is_superuser": is_superuser})


def _failed(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse({"result": "ignore", "message": message}, status, headers)
