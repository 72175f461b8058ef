"""the bot"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

GONE = "state = 'active' AND NOT online AND NOT absence_noted AND status_at IS NOT NULL"
CHOICES = (
    ("owner_ids", sa.ARRAY(sa.Integer())),
    ("configured_as", sa.Text()),
    ("last_error", sa.Text()),
    ("name", sa.Text()),
    ("quiet_from", sa.Time()),
    ("quiet_until", sa.Time()),
    ("quiet_zone", sa.Text()),
)


def upgrade() -> None:
    op.create_table(
        "telegram_bot",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_telegram_bot"),
    )
    op.create_table(
        "invites",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("token_id", sa.BigInteger(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("used_by", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name="fk_invites_owner_id"),
        sa.PrimaryKeyConstraint("id", name="pk_invites"),
        sa.UniqueConstraint("hash", name="uq_invites_hash"),
    )
    op.add_column(
        "devices",
        sa.Column("absence_noted", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.create_index("ix_devices_gone", "devices", ["status_at"], postgresql_where=sa.text(GONE))
    op.create_index(
        "ix_notices_event_waiting",
        "notices",
        ["event_id"],
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.add_column(
        "recipients", sa.Column("role", sa.Text(), server_default="viewer", nullable=False)
    )
    for name, kind in CHOICES:
        op.add_column("recipients", sa.Column(name, kind, nullable=True))
    op.create_index(
        "ix_notices_settled_at",
        "notices",
        ["settled_at"],
        postgresql_where=sa.text("state <> 'waiting'"),
    )
    op.execute("UPDATE recipients SET configured_as = address WHERE source = 'settings'")
    op.execute(
        "UPDATE recipients SET role = 'admin' WHERE source = 'settings' AND address ~ '^[0-9]+$'"
    )


def downgrade() -> None:
    for name in ("role", *(name for name, _ in CHOICES)):
        op.drop_column("recipients", name)
    op.drop_index("ix_notices_settled_at", "notices")
    op.drop_index("ix_notices_event_waiting", "notices")
    op.drop_index("ix_devices_gone", "devices")
    op.drop_column("devices", "absence_noted")
    op.drop_table("invites")
    op.drop_table("telegram_bot")
