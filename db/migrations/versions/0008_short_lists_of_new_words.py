"""short lists of new words"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


# Cleared by whoever fills it: 4 MB, the default, kept one registration in some thousands for 80 ms.
def upgrade() -> None:
    op.execute("ALTER INDEX ix_devices_search SET (gin_pending_list_limit = 128)")


def downgrade() -> None:
    op.execute("ALTER INDEX ix_devices_search RESET (gin_pending_list_limit)")
