"""The functions and triggers that are in force, as SQL.

Applied migrations keep their own copies. `rollcall migrate --check` compares a migrated database
with this text, because models know nothing of triggers.
"""

# Triggers do this, so that no statement that changes a config can forget the broker.
QUEUE_CONFIG = """
CREATE FUNCTION queue_config() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO config_outbox (device_id, version) VALUES (NEW.id, NEW.config_version)
    ON CONFLICT (device_id) DO UPDATE SET version = EXCLUDED.version;
    RETURN NULL;
END $$
"""

# The condition stands here and not in the function: an update that changes neither calls nothing.
QUEUE_CONFIG_ON_UPDATE = """
CREATE TRIGGER queue_config AFTER UPDATE OF config_version, state ON devices
FOR EACH ROW WHEN (NEW.state = 'active' AND
    (OLD.config_version, OLD.state) IS DISTINCT FROM (NEW.config_version, NEW.state))
EXECUTE FUNCTION queue_config()
"""

# In the order of ids, as in all batches: two that cross would be a deadlock.
QUEUE_NEW_CONFIGS = """
CREATE FUNCTION queue_new_configs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO config_outbox (device_id, version)
    SELECT id, config_version FROM added WHERE state = 'active' ORDER BY id
    ON CONFLICT (device_id) DO UPDATE SET version = EXCLUDED.version;
    RETURN NULL;
END $$
"""

# Once for all rows of a statement: called for each, it was the dearest part of a registration.
QUEUE_NEW_CONFIGS_ON_INSERT = """
CREATE TRIGGER queue_new_configs AFTER INSERT ON devices
REFERENCING NEW TABLE AS added
FOR EACH STATEMENT EXECUTE FUNCTION queue_new_configs()
"""

# One statement each. Functions come before the triggers that call them.
IN_FORCE = (QUEUE_CONFIG, QUEUE_NEW_CONFIGS, QUEUE_CONFIG_ON_UPDATE, QUEUE_NEW_CONFIGS_ON_INSERT)
