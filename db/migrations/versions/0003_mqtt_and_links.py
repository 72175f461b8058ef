"""mqtt and links"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ID = sa.String(32, collation="C")
SHARDS = "0123456789abcdef"
OWE = """
CREATE FUNCTION owe_config() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO undelivered (device_id, version) VALUES (NEW.id, NEW.config_version)
    ON CONFLICT (device_id) DO UPDATE SET version = EXCLUDED.version;
    RETURN NULL;
END $$
"""


def upgrade() -> None:
    op.add_column(
        "devices",
        sa.Column("listen", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
    )
    op.add_column("devices", sa.Column("overdue_version", sa.Integer(), nullable=True))
    op.add_column("devices", sa.Column("status_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("tokens", sa.Column("mqtt_hash", sa.Text(), nullable=True))
    op.create_index(
        "ix_devices_offline", "devices", ["number"], postgresql_where=sa.text("NOT online")
    )
    op.create_index(
        "ix_devices_overdue",
        "devices",
        ["config_updated_at"],
        postgresql_where=sa.text(
            "state = 'active' AND NOT synced AND overdue_version IS DISTINCT FROM config_version"
        ),
    )
    op.create_table(
        "links",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("listener_id", ID, nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=False),
        sa.Column("place_id", sa.Integer(), nullable=True),
        sa.Column("measurement_type_id", sa.Integer(), nullable=True),
        sa.Column("source_id", ID, nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["listener_id"], ["devices.id"], name="fk_links_listener_id"),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name="fk_links_owner_id"),
        sa.ForeignKeyConstraint(["place_id"], ["places.id"], name="fk_links_place_id"),
        sa.ForeignKeyConstraint(
            ["measurement_type_id"], ["measurement_types.id"], name="fk_links_measurement_type_id"
        ),
        sa.ForeignKeyConstraint(["source_id"], ["devices.id"], name="fk_links_source_id"),
        sa.PrimaryKeyConstraint("id", name="pk_links"),
    )
    op.create_index(
        "ix_links_selector",
        "links",
        [
            "listener_id",
            sa.text("coalesce(place_id, 0)"),
            sa.text("coalesce(measurement_type_id, 0)"),
            sa.text("coalesce(source_id, '')"),
        ],
        unique=True,
    )
    op.create_index(
        "ix_links_owner_id_place_id_measurement_type_id",
        "links",
        ["owner_id", "place_id", "measurement_type_id"],
    )
    op.create_index("ix_links_source_id", "links", ["source_id"])
    op.create_table(
        "undelivered",
        sa.Column("device_id", ID, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["device_id"], ["devices.id"], name="fk_undelivered_device_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("device_id", name="pk_undelivered"),
    )
    op.execute(
        "INSERT INTO undelivered SELECT id, config_version FROM devices WHERE state = 'active'"
    )
    op.execute(OWE)
    op.execute(
        """
        CREATE TRIGGER owe_config_of_new AFTER INSERT ON devices
        FOR EACH ROW WHEN (NEW.state = 'active') EXECUTE FUNCTION owe_config()
        """
    )
    op.execute(
        """
        CREATE TRIGGER owe_config AFTER UPDATE OF config_version, state ON devices
        FOR EACH ROW WHEN (NEW.state = 'active' AND
            (OLD.config_version, OLD.state) IS DISTINCT FROM (NEW.config_version, NEW.state))
        EXECUTE FUNCTION owe_config()
        """
    )
    op.create_table(
        "former_topics",
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("device_id", ID, nullable=False),
        sa.Column(
            "since", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("again_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["device_id"], ["devices.id"], name="fk_former_topics_device_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("topic", name="pk_former_topics"),
    )
    op.create_index("ix_former_topics_device_id", "former_topics", ["device_id"])
    op.create_table(
        "stale_topics",
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("device_id", ID, nullable=False),
        sa.Column(
            "since", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column(
            "again_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("cleared_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("topic", name="pk_stale_topics"),
    )
    op.create_index(
        "ix_stale_topics_device_id",
        "stale_topics",
        ["device_id"],
        postgresql_where=sa.text("cleared_at IS NULL"),
    )
    op.create_index("ix_stale_topics_cleared_at", "stale_topics", ["cleared_at"])
    op.create_table(
        "broker_markers",
        sa.Column("shard", sa.String(1, collation="C"), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("shard", name="pk_broker_markers"),
    )
    op.execute(
        sa.text(
            "INSERT INTO broker_markers (shard, topic, sequence) "
            "SELECT shard, '_rollcall/' || installation || '/' || shard, 0 "
            "FROM regexp_split_to_table(:shards, '') shard, "
            "(SELECT left(md5(gen_random_uuid()::text), 12) AS installation) AS of_this_one"
        ).bindparams(shards=SHARDS)
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER owe_config ON devices")
    op.execute("DROP TRIGGER owe_config_of_new ON devices")
    op.execute("DROP FUNCTION owe_config")
    for table in ("undelivered", "broker_markers", "stale_topics", "former_topics", "links"):
        op.drop_table(table)
    op.drop_column("tokens", "mqtt_hash")
    for name in ("overdue", "offline"):
        op.drop_index(f"ix_devices_{name}", table_name="devices")
    for column in ("status_at", "overdue_version", "listen"):
        op.drop_column("devices", column)
