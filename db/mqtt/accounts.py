"""Tokens as broker accounts."""

from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.mqtt.accounts import Account
from domain.mqtt.rights import ADMIN_USER, Rights, admin_rights, device_rights

CHUNK = 1_000
MAX_DIGITS = 19

COLUMNS = """
    t.id, t.kind, t.device_id, t.owner_id, o.slug, d.topic, d.listen,
    ARRAY(SELECT f.topic FROM former_topics f WHERE f.device_id = d.id) AS former
    FROM tokens t LEFT JOIN devices d ON d.id = t.device_id LEFT JOIN owners o ON o.id = t.owner_id
"""
VALID = """
    t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > now()) AND NOT t.waiting
    AND (t.kind = 'admin' OR t.kind = 'device' AND d.state = 'active')
"""
RIGHTS = text(f"SELECT {COLUMNS} WHERE t.id = ANY(:ids) AND {VALID}")
OF_DEVICE = text(f"SELECT {COLUMNS} WHERE t.device_id = :id AND {VALID} LIMIT 1")
OF_ADMIN = text(f"SELECT {COLUMNS} WHERE t.id = :id AND t.kind = 'admin' AND {VALID}")
OF_ADMINS = text(f"""
    SELECT {COLUMNS} WHERE t.kind = 'admin' AND t.owner_id IS NULL AND {VALID} LIMIT 1
""")
ADMINS = text(f"""
    SELECT t.mqtt_hash, {COLUMNS}
    WHERE t.kind = 'admin' AND t.mqtt_hash IS NOT NULL AND {VALID} ORDER BY t.id
""")
# An account list has one password per device: of the confirmed token if there is one, else of the
# newest.
DEVICES = text(f"""
    SELECT DISTINCT ON (t.device_id) t.mqtt_hash, {COLUMNS}
    WHERE t.kind = 'device' AND t.mqtt_hash IS NOT NULL AND {VALID} AND t.device_id > :after
    ORDER BY t.device_id, t.confirmed_at IS NULL, t.id DESC LIMIT :limit
""")


async def rights_of_user(session: AsyncSession, username: str) -> Rights | None:
    """Return None if no valid token belongs to the user name."""
    name, _, number = username.partition("-")
    if name != ADMIN_USER:
        found = await session.execute(OF_DEVICE, {"id": username})
    elif not number:
        found = await session.execute(OF_ADMINS)
    elif number.isascii() and number.isdigit() and len(number) < MAX_DIGITS:
        found = await session.execute(OF_ADMIN, {"id": int(number)})
    else:
        return None
    row = found.first()
    return _rights(row) if row else None


async def rights(session: AsyncSession, token_ids: Collection[int]) -> Mapping[int, Rights]:
    """Return the rights by token id, for the tokens that are valid and may connect."""
    rows = await session.execute(RIGHTS, {"ids": list(token_ids)})
    return {row.id: _rights(row) for row in rows}


async def all_accounts(session: AsyncSession) -> AsyncIterator[Account]:
    """Yield the accounts of administrators, then of devices in the order of their ids."""
    admins = (await session.execute(ADMINS)).all()
    # An account list has one password per name: of the oldest token without an owner.
    for row in [row for row in admins if row.owner_id is None][:1]:
        yield Account(ADMIN_USER, row.mqtt_hash, _rights(row))
    for row in admins:
        yield Account(f"{ADMIN_USER}-{row.id}", row.mqtt_hash, _rights(row))
    after: str | None = ""
    while after is not None:
        rows = (await session.execute(DEVICES, {"after": after, "limit": CHUNK})).all()
        for row in rows:
            yield Account(row.device_id, row.mqtt_hash, _rights(row))
        after = rows[-1].device_id if len(rows) == CHUNK else None


def _rights(row: Row[Any]) -> Rights:
    if row.kind == "admin":
        return admin_rights(row.slug)
    return device_rights([row.topic, *row.former], row.listen)
