"""The record that decides how a device registers."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

from domain.devices.device import COLUMNS, DeviceRecord, NameCache
from domain.devices.enrolment import OpenRequest

# `unused`: the newest unused token of a device that was issued without an approval. `requested`:
# its open requests, as columns of equal length.
REGISTRATIONS = f"""
WITH unused AS MATERIALIZED (
    SELECT DISTINCT ON (device_id) device_id, issued_by, created_by FROM tokens
    WHERE device_id = ANY($1::text[]) AND confirmed_at IS NULL AND revoked_at IS NULL
        AND NOT waiting AND NOT approved
    ORDER BY device_id, id DESC
), requested AS MATERIALIZED (
    SELECT device_id, array_agg(id) AS ids, array_agg(key_id) AS keys,
        array_agg(address) AS addresses, array_agg(foreign_owner) AS foreign_owners
    FROM enrolment_requests WHERE device_id = ANY($1::text[]) GROUP BY device_id
)
SELECT g.id AS key, x.config_version AS deleted_version, d.confirmed_at IS NOT NULL AS confirmed,
    d.reenrolment_refused AS refused, d.foreign_refused, d.access_revision,
    u.issued_by AS unused_by, u.created_by AS unused_of,
    r.ids, r.keys, r.addresses, r.foreign_owners, {", ".join(f"d.{column}" for column in COLUMNS)}
FROM unnest($1::text[]) AS g (id)
LEFT JOIN devices d ON d.id = g.id
LEFT JOIN deleted_devices x ON x.device_id = g.id
LEFT JOIN unused u ON u.device_id = g.id
LEFT JOIN requested r ON r.device_id = g.id
"""  # noqa: S608  column names
# Of the columns of devices, and of those of open requests.
FIRST, FIRST_OF_REQUESTS = 12, 8


class RegistrationRecord(NamedTuple):
    """`device`: None if it is unknown. `deleted_version`: the last one of a deleted device.

    `refused`, `foreign_refused`: an administrator has refused a new token: to all keys, to those of
    other owners. `unused_by`: the enrolment key for which the newest unused token was issued, None
    if without a key; not of a token that is pending or was approved. `unused_of`: the actor who got
    that token; None if there is no such token.
    """

    device: DeviceRecord | None
    requests: Sequence[OpenRequest]
    deleted_version: int | None
    confirmed: bool
    refused: bool
    foreign_refused: bool
    access_revision: int | None
    unused_by: int | None
    unused_of: str | None

    @classmethod
    def of(cls, row: Sequence[Any], names: NameCache) -> Self:
        """`row`: a row of `REGISTRATIONS`."""
        device = DeviceRecord(row[FIRST:], names) if row[FIRST] else None
        columns = [column or () for column in row[FIRST_OF_REQUESTS:FIRST]]
        requests = [OpenRequest(*values) for values in zip(*columns, strict=True)]
        return cls(device, requests, *row[1:FIRST_OF_REQUESTS])
