"""Authenticates clients of the embedded broker against the database."""

import secrets
from collections.abc import Callable, Collection, Mapping

from domain.errors import Unavailable
from domain.mqtt.rights import SERVER_RIGHTS, Rights
from mqtt.auth.authenticator import Login
from resolvers.access.mqtt import broker_login, broker_rights
from resolvers.services import Services

SERVER_USER = "rollcall"


class RegistryAuthenticator:
    """`services` returns None while there is no database. This server can still log in then."""

    def __init__(self, services: Callable[[], Services | None]) -> None:
        self._services = services
        self.server_password = secrets.token_urlsafe()

    async def login(self, username: str, password: str) -> Login | None:
        if username == SERVER_USER:
            if secrets.compare_digest(password.encode(), self.server_password.encode()):
                return Login(username, None)
            return None
        token_id = await broker_login(self._require_services(), username, password)
        return None if token_id is None else Login(username, token_id)

    async def rights(self, logins: Collection[Login]) -> Mapping[Login, Rights]:
        ids = {login.token_id for login in logins if login.token_id is not None}
        found = await broker_rights(self._require_services(), ids) if ids else {}
        return {
            login: rights for login in logins if (rights := _rights_of(login, found)) is not None
        }

    def _require_services(self) -> Services:
        services = self._services()
        if services is None:
            raise Unavailable("The database is not available; try again soon.")
        return services


def _rights_of(login: Login, found: Mapping[int, Rights]) -> Rights | None:
    return SERVER_RIGHTS if login.token_id is None else found.get(login.token_id)
