"""Headers of every response, the same over ASGI, on the fast path and from the HTTP parser."""

from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

Header = tuple[bytes, bytes]

# Browsers must not guess another content type.
NO_SNIFF: Header = (b"x-content-type-options", b"nosniff")
# Responses depend on the token and on the time.
NO_STORE: Header = (b"cache-control", b"no-store")


def default_headers(headers: Iterable[Header]) -> list[Header]:
    """Return what a response with these headers lacks. Their names must be in lower case."""
    names = {name for name, _ in headers}
    return [header for header in (NO_SNIFF, NO_STORE) if header[0] not in names]


class DefaultHeaders:
    """Middleware that adds the headers to HTTP responses. A response may have its own values."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_defaults(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                message["headers"] = headers + default_headers(headers)
            await send(message)

        await self.app(scope, receive, send_with_defaults)
