"""The current functions and triggers, as SQL.

Applied migrations keep their own copies. `rollcall migrate --check` compares a migrated database
with this SQL, because SQLAlchemy models do not include triggers.
"""

# A trigger, so that every statement that changes a config also adds it to the outbox.
QUEUE_CONFIG = """
CREATE FUNCTION queue_config() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO config_outbox (device_id, version) VALUES (NEW.id, NEW.config_version)
    ON CONFLICT (device_id) DO UPDATE SET version = EXCLUDED.version;
    RETURN NULL;
END $$
"""

# The condition is here and not in the function, so that other updates do not call the function.
QUEUE_CONFIG_ON_UPDATE = """
CREATE TRIGGER queue_config AFTER UPDATE OF config_version, state ON devices
FOR EACH ROW WHEN (NEW.state = 'active' AND
    (OLD.config_version, OLD.state) IS DISTINCT FROM (NEW.config_version, NEW.state))
EXECUTE FUNCTION queue_config()
"""

# In the order of ids, as in all batches, so that two of them can't deadlock.
QUEUE_NEW_CONFIGS = """
CREATE FUNCTION queue_new_configs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO config_outbox (device_id, version)
    SELECT id, config_version FROM added WHERE state = 'active' ORDER BY id
    ON CONFLICT (device_id) DO UPDATE SET version = EXCLUDED.version;
    RETURN NULL;
END $$
"""

# Once per statement: called for each row, it was the most expensive part of a registration.
QUEUE_NEW_CONFIGS_ON_INSERT = """
CREATE TRIGGER queue_new_configs AFTER INSERT ON devices
REFERENCING NEW TABLE AS added
FOR EACH STATEMENT EXECUTE FUNCTION queue_new_configs()
"""

# One statement each, functions before the triggers that call them.
IN_FORCE = (QUEUE_CONFIG, QUEUE_NEW_CONFIGS, QUEUE_CONFIG_ON_UPDATE, QUEUE_NEW_CONFIGS_ON_INSERT)
