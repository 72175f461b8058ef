"""the log for people"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_events_owner_id_id", "events", ["owner_id", "id"])
    op.create_index("ix_events_kind_id", "events", ["kind", "id"])
    op.create_index(
        "ix_events_actor_id",
        "events",
        ["actor", "id"],
        postgresql_where=sa.text("actor NOT LIKE 'device:%'"),
    )


def downgrade() -> None:
    for name in ("actor_id", "kind_id", "owner_id_id"):
        op.drop_index(f"ix_events_{name}", table_name="events")
