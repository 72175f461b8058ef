"""alerts"""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

NOW = sa.text("now()")


def maybe(name: str) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=True)


def moment(name: str) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), server_default=NOW, nullable=False)


def upgrade() -> None:
    op.create_table(
        "recipients",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=True),
        sa.Column("kinds", sa.ARRAY(sa.Text()), nullable=True),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("off_reason", sa.Text(), nullable=True),
        maybe("muted_until"),
        maybe("leased_until"),
        moment("next_send_at"),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        moment("created_at"),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name="fk_recipients_owner_id"),
        sa.PrimaryKeyConstraint("id", name="pk_recipients"),
        sa.UniqueConstraint("channel", "address", name="uq_recipients_channel_address"),
    )
    op.create_table(
        "notices",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("recipient_id", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        moment("created_at"),
        maybe("settled_at"),
        sa.ForeignKeyConstraint(
            ["recipient_id"], ["recipients.id"], name="fk_notices_recipient_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_notices"),
        sa.UniqueConstraint("recipient_id", "event_id", name="uq_notices_recipient_id_event_id"),
    )
    op.create_index(
        "ix_notices_waiting",
        "notices",
        ["recipient_id", "id"],
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index("ix_notices_state", "notices", ["state", "id"])
    op.create_table(
        "notifier_position",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("tx", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_notifier_position"),
    )


def downgrade() -> None:
    for table in ("notifier_position", "notices", "recipients"):
        op.drop_table(table)
