"""Checks the Host header of a request (RFC 9112, section 3.2)."""

import re

from server.transport.header_lines import Headers

# Host and port, such as `example.com:8000` or `[::1]` (RFC 9110, section 7.2).
HOST = re.compile(rb"([A-Za-z0-9._~!$&'()*+,;=%-]+|\[[^\[\]/@\s]+\])(:[0-9]*)?")


def has_valid_host(url: bytes, headers: Headers, version: str) -> bool:
    """`version`: of HTTP, such as 1.1."""
    hosts = [value for name, value in headers if name == b"host"]
    if not hosts:
        return version == "1.0"
    if len(hosts) > 1:
        return False
    # Empty for a target without authority or with its own, such as `*`.
    is_empty = not hosts[0] and not url.startswith(b"/")
    return is_empty or HOST.fullmatch(hosts[0]) is not None
