"""The registry's answer to a broker that runs in this process."""

import secrets
from collections.abc import Callable, Collection, Mapping

from domain.errors import Unavailable
from domain.mqtt.rights import SERVER_RIGHTS, Rights
from mqtt.auth.authenticator import Login
from resolvers.access.mqtt import broker_login, broker_rights
from resolvers.services import Services

SERVER_USER = "rollcall"


class RegistryAuthenticator:
    """`desk` gives None while the database is away; the server itself can connect all the same."""

    def __init__(self, services: Callable[[], Services | None]) -> None:
        self._services = services
        self.server_password = secrets.token_urlsafe()

    async def login(self, username: str, password: str) -> Login | None:
        if username == SERVER_USER:
            if secrets.compare_digest(password.encode(), self.server_password.encode()):
                return Login(username, None)
            return None
        token_id = await broker_login(self._reached(), username, password)
        return None if token_id is None else Login(username, token_id)

    async def rights(self, logins: Collection[Login]) -> Mapping[Login, Rights]:
        ids = {login.token_id for login in logins if login.token_id is not None}
        found = await broker_rights(self._reached(), ids) if ids else {}
        return {login: rights for login in logins if (rights := _of(login, found)) is not None}

    def _reached(self) -> Services:
        services = self._services()
        if services is None:
            raise Unavailable("The database is not available; try again soon.")
        return services


def _of(login: Login, found: Mapping[int, Rights]) -> Rights | None:
    return SERVER_RIGHTS if login.token_id is None else found.get(login.token_id)
