"""configs of a crowd"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# Once for all rows of a statement: called for each, it was the dearest part of a registration.
OWE = """
CREATE FUNCTION owe_configs_of_new() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO undelivered (device_id, version)
    SELECT id, config_version FROM added WHERE state = 'active' ORDER BY id
    ON CONFLICT (device_id) DO UPDATE SET version = EXCLUDED.version;
    RETURN NULL;
END $$
"""


def upgrade() -> None:
    op.execute("DROP TRIGGER owe_config_of_new ON devices")
    op.execute(OWE)
    op.execute(
        """
        CREATE TRIGGER owe_configs_of_new AFTER INSERT ON devices
        REFERENCING NEW TABLE AS added
        FOR EACH STATEMENT EXECUTE FUNCTION owe_configs_of_new()
        """
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER owe_configs_of_new ON devices")
    op.execute("DROP FUNCTION owe_configs_of_new")
    op.execute(
        """
        CREATE TRIGGER owe_config_of_new AFTER INSERT ON devices
        FOR EACH ROW WHEN (NEW.state = 'active') EXECUTE FUNCTION owe_config()
        """
    )
