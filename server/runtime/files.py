"""The number of files that the process may open: each connection is one."""

import logging

try:
    import resource
except ImportError:  # Windows has no such limit
    resource = None  # type: ignore[assignment]

log = logging.getLogger("rollcall.server")

# Files beside the connections of clients: the database, the broker, Telegram, modules.
OTHER_FILES = 200


def allow_connections(wanted: int) -> int:
    """Raise the process's limit of open files. Return how many connections it allows, at most
    `wanted`.
    """
    if resource is None:
        return wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + OTHER_FILES
    if resource.RLIM_INFINITY != soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return wanted
    allowed = max(soft - OTHER_FILES, soft // 2)
    log.warning(
        "At most %d connections, because this process may open %d files: raise the limit "
        "(`ulimit -n`, LimitNOFILE= of systemd) for ROLLCALL_MAX_CONNECTIONS=%d.",
        allowed,
        soft,
        wanted,
    )
    return allowed
