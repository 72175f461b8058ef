"""The record that decides how a device registers."""

from typing import NamedTuple

from domain.devices.device import COLUMNS, DeviceRecord

# `unused`: the newest unused token of a device, one that is pending and one that is not.
REGISTRATIONS = f"""
WITH unused AS MATERIALIZED (
    SELECT DISTINCT ON (device_id, waiting) device_id, waiting, issued_by FROM tokens
    WHERE device_id = ANY($1::text[]) AND confirmed_at IS NULL AND revoked_at IS NULL
    ORDER BY device_id, waiting, id DESC
)
SELECT g.id AS key, x.config_version AS deleted_version, d.confirmed_at IS NOT NULL AS confirmed,
    d.reenrolment_refused AS refused, d.access_revision, u.issued_by AS unused_by,
    w.issued_by AS waiting_by, {", ".join(f"d.{column}" for column in COLUMNS)}
FROM unnest($1::text[]) AS g (id)
LEFT JOIN devices d ON d.id = g.id
LEFT JOIN deleted_devices x ON x.device_id = g.id
LEFT JOIN unused u ON u.device_id = g.id AND NOT u.waiting
LEFT JOIN unused w ON w.device_id = g.id AND w.waiting
"""  # noqa: S608  column names
REGISTRATION_COLUMNS = 7


class RegistrationRecord(NamedTuple):
    """`device`: None if it is unknown. `deleted_version`: the last one of a deleted device.

    `unused_by`: the enrolment key for which the newest unused token that is not pending was
    issued. `waiting_by`: the same for a pending one. None if there is no such token, or if it was
    issued without a key.
    """

    device: DeviceRecord | None
    deleted_version: int | None
    confirmed: bool
    refused: bool
    access_revision: int | None
    unused_by: int | None
    waiting_by: int | None
