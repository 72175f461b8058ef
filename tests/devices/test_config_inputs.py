from domain.devices.config import DEFAULT_INTERVAL_SECONDS, DEFAULT_QOS
from domain.devices.inputs import ConfigChange


def test_default_config_is_a_valid_config_change() -> None:
    change = ConfigChange.check({"intervalSeconds": DEFAULT_INTERVAL_SECONDS, "qos": DEFAULT_QOS})
    assert (change.interval_seconds, change.qos) == (60, 1)
