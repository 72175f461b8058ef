"""tables by their nouns

Servers of the version before can't run beside this one: stop them all first.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

NAMES = (
    ("notices", "deliveries"),
    ("notifier_position", "fan_out_position"),
    ("undelivered", "config_outbox"),
    ("broker_markers", "mqtt_checkpoints"),
)

# What belongs to a table and carries its name: rename statements, in this order.
CONSTRAINTS = """
SELECT format('ALTER TABLE %I RENAME CONSTRAINT %I TO %I', CAST(:new AS text), conname,
    replace(conname, :old, :new))
FROM pg_constraint WHERE conrelid = CAST(:new AS regclass) AND strpos(conname, :old) > 0
ORDER BY conname
"""
RELATIONS = """
SELECT format('ALTER %s %I RENAME TO %I', CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'INDEX' END,
    relname, replace(relname, :old, :new))
FROM pg_class WHERE strpos(relname, :old) > 0 AND (
    oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = CAST(:new AS regclass))
    OR relkind = 'S' AND oid IN (
        SELECT objid FROM pg_depend WHERE refobjid = CAST(:new AS regclass)
    )
)
ORDER BY relname
"""

QUEUE_CONFIG = """
CREATE FUNCTION queue_config() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO config_outbox (device_id, version) VALUES (NEW.id, NEW.config_version)
    ON CONFLICT (device_id) DO UPDATE SET version = EXCLUDED.version;
    RETURN NULL;
END $$
"""
QUEUE_CONFIG_ON_UPDATE = """
CREATE TRIGGER queue_config AFTER UPDATE OF config_version, state ON devices
FOR EACH ROW WHEN (NEW.state = 'active' AND
    (OLD.config_version, OLD.state) IS DISTINCT FROM (NEW.config_version, NEW.state))
EXECUTE FUNCTION queue_config()
"""
QUEUE_NEW_CONFIGS = """
CREATE FUNCTION queue_new_configs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO config_outbox (device_id, version)
    SELECT id, config_version FROM added WHERE state = 'active' ORDER BY id
    ON CONFLICT (device_id) DO UPDATE SET version = EXCLUDED.version;
    RETURN NULL;
END $$
"""
QUEUE_NEW_CONFIGS_ON_INSERT = """
CREATE TRIGGER queue_new_configs AFTER INSERT ON devices
REFERENCING NEW TABLE AS added
FOR EACH STATEMENT EXECUTE FUNCTION queue_new_configs()
"""
TRIGGERS = (
    "DROP TRIGGER owe_config ON devices",
    "DROP TRIGGER owe_configs_of_new ON devices",
    "DROP FUNCTION owe_config()",
    "DROP FUNCTION owe_configs_of_new()",
    QUEUE_CONFIG,
    QUEUE_NEW_CONFIGS,
    QUEUE_CONFIG_ON_UPDATE,
    QUEUE_NEW_CONFIGS_ON_INSERT,
)


def upgrade() -> None:
    for old, new in NAMES:
        _rename(old, new)
    for statement in TRIGGERS:
        op.execute(statement)


def downgrade() -> None:
    renamed = {"queue_new_configs": "owe_configs_of_new", "queue_config": "owe_config"}
    renamed["config_outbox"] = "undelivered"
    for statement in (
        "DROP TRIGGER queue_config ON devices",
        "DROP TRIGGER queue_new_configs ON devices",
        "DROP FUNCTION queue_config()",
        "DROP FUNCTION queue_new_configs()",
        *TRIGGERS[4:],
    ):
        text = statement
        if not statement.startswith("DROP"):
            for new, old in renamed.items():
                text = text.replace(new, old)
        op.execute(text)
    for old, new in NAMES:
        _rename(new, old)


def _rename(old: str, new: str) -> None:
    op.rename_table(old, new)
    names = {"old": old, "new": new}
    for query in (CONSTRAINTS, RELATIONS):
        found = op.get_bind().execute(sa.text(query), names)
        for (statement,) in found.all():
            op.execute(statement)
