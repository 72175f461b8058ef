"""the order of the log"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "events",
        sa.Column(
            "tx",
            sa.BigInteger(),
            server_default=sa.text("pg_current_xact_id()::text::bigint"),
            nullable=False,
        ),
    )
    op.execute(
        """
        UPDATE events SET
            before = before || jsonb_build_object('updatedAt', at, 'updatedBy', 'unknown'),
            after = after || jsonb_build_object('updatedAt', at, 'updatedBy', actor)
        WHERE kind = 'config_changed'
        """
    )
    op.create_index(op.f("ix_events_tx_id"), "events", ["tx", "id"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_events_tx_id"), table_name="events")
    op.drop_column("events", "tx")
