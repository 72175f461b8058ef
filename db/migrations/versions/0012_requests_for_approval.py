"""requests for approval

Servers of the version before can't run beside this one: stop them all first.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

# A pending token is a request from an unknown address.
FILL = """
INSERT INTO enrolment_requests (device_id, token_id, key_id, sensor_model, firmware, requested_at,
    last_asked_at, foreign_owner)
SELECT t.device_id, t.id, t.issued_by, d.sensor_model, d.firmware, t.created_at, t.created_at,
    coalesce(k.owner_id <> d.owner_id, false)
FROM tokens t JOIN devices d ON d.id = t.device_id LEFT JOIN tokens k ON k.id = t.issued_by
WHERE t.waiting AND t.confirmed_at IS NULL AND t.revoked_at IS NULL
ORDER BY t.id
"""
# The version before has one pending token for each device, and shows no foreign ones.
KEEP_NEWEST = """
DELETE FROM tokens t USING enrolment_requests r
WHERE r.token_id = t.id AND (r.foreign_owner OR EXISTS (
    SELECT FROM enrolment_requests n
    WHERE n.device_id = r.device_id AND n.id > r.id AND NOT n.foreign_owner
))
"""


def upgrade() -> None:
    op.add_column(
        "devices",
        sa.Column("foreign_refused", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.add_column(
        "tokens", sa.Column("approved", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.create_table(
        "enrolment_requests",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("device_id", sa.String(32, collation="C"), nullable=False),
        sa.Column("token_id", sa.BigInteger(), nullable=False),
        sa.Column("key_id", sa.BigInteger(), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("sensor_model", sa.Text(), nullable=True),
        sa.Column("firmware", sa.Text(), nullable=True),
        sa.Column("times_asked", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("foreign_owner", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.ForeignKeyConstraint(
            ["device_id"],
            ["devices.id"],
            name="fk_enrolment_requests_device_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["token_id"], ["tokens.id"], name="fk_enrolment_requests_token_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_enrolment_requests"),
        sa.UniqueConstraint("token_id", name="uq_enrolment_requests_token_id"),
    )
    op.create_index("ix_enrolment_requests_device_id", "enrolment_requests", ["device_id"])
    op.execute(FILL)


def downgrade() -> None:
    op.execute(KEEP_NEWEST)
    op.drop_table("enrolment_requests")
    op.drop_column("tokens", "approved")
    op.drop_column("devices", "foreign_refused")
