"""What a trusted proxy says of its client, by the rules of uvicorn's ProxyHeadersMiddleware."""

from typing import Any

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

Client = tuple[str, int] | None


def is_proxy(app: Any, host: str | None) -> bool:
    return isinstance(app, ProxyHeadersMiddleware) and host in app.trusted_hosts


def url_scheme(app: Any, client: Client, forwarded: bytes | None) -> str | None:
    """Return http or https. None if no trusted proxy says it."""
    scheme = forwarded.decode("latin-1").strip() if forwarded else ""
    is_trusted = is_proxy(app, client[0] if client else None)
    return scheme if is_trusted and scheme in ("http", "https") else None


def address(app: Any, client: Client, forwarded: str | None) -> str | None:
    """Return the client's address, by the rules of uvicorn's ProxyHeadersMiddleware."""
    host = client[0] if client else None
    proxies = app.trusted_hosts if isinstance(app, ProxyHeadersMiddleware) else ()
    if not forwarded or not proxies or host not in proxies:
        return host
    return proxies.get_trusted_client_address(forwarded)[0] or host
