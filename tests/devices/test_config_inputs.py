from domain.devices.config import DEFAULT_INTERVAL_SECONDS, DEFAULT_QOS
from domain.devices.inputs import ConfigChange


def test_a_new_device_starts_with_what_a_person_could_set() -> None:
    change = ConfigChange.check({"intervalSeconds": DEFAULT_INTERVAL_SECONDS, "qos": DEFAULT_QOS})
    assert (change.interval_seconds, change.qos) == (60, 1)
