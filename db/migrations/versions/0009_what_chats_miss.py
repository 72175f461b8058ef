"""what chats miss"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

NOW = sa.text("now()")


def columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("topic", sa.Integer(), nullable=True),
        sa.Column("away", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("since_event", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("paused_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("muted_at", sa.DateTime(timezone=True), nullable=True),
    ]


def upgrade() -> None:
    for column in columns():
        op.add_column("recipients", column)
    # Switched off by their channel, not by the settings: they come back.
    op.execute(
        """
        UPDATE recipients SET away = true
        WHERE off_reason <> 'not in the settings any more' AND off_reason NOT LIKE 'its address is %'
        """
    )
    # Longer than any pause: the clock was wrong when they were set.
    op.execute(
        "UPDATE recipients SET next_send_at = now() WHERE next_send_at > now() + interval '2 days'"
    )
    op.execute(
        "UPDATE recipients SET muted_until = NULL WHERE muted_until > now() + interval '31 days'"
    )
    op.create_table(
        "missed_alerts",
        sa.Column("recipient_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("first_event", sa.BigInteger(), nullable=False),
        sa.Column("last_event", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.ForeignKeyConstraint(
            ["recipient_id"],
            ["recipients.id"],
            name="fk_missed_alerts_recipient_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("recipient_id", "kind", name="pk_missed_alerts"),
    )


def downgrade() -> None:
    op.drop_table("missed_alerts")
    for column in columns():
        op.drop_column("recipients", column.name)
