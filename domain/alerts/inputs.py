"""Inputs about recipients of alerts."""

from domain.alerts.recipients import Role
from domain.inputs import Future, Input, Name, Note


class NewInvite(Input):
    role: Role = Role.VIEWER
    owner: Name | None = None
    note: Note | None = None
    expires_at: Future | None = None


class DeliveryFilter(Input):
    """The conditions are combined with AND."""

    state: str | None = None
    recipient_id: str | None = None
