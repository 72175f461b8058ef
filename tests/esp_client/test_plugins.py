"""The simulated sensor, and the example plug-ins with fakes of the boards' modules."""

import sys
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from esp_client.examples.bme280 import BME280
from esp_client.examples.ds18b20 import DS18B20
from esp_client.examples.relay import Relay
from esp_client.simulated import RANGES, Simulated


@pytest.mark.parametrize("measurement_type", [*RANGES, "unheard-of"])
def test_simulated_values_stay_in_range_with_small_steps(measurement_type: str) -> None:
    sensors = [Simulated(measurement_type, seed) for seed in (1, 1, 2)]
    first, same, other = ([sensor.read() for _ in range(500)] for sensor in sensors)
    assert first == same != other
    assert all(sensors[0].lowest <= value <= sensors[0].highest for value in first)
    steps = [abs(after - before) for before, after in pairwise(first)]
    assert 0 < max(steps) <= sensors[0].step + 0.011


def test_simulated_range_ignores_case_and_spaces_of_the_type() -> None:
    assert Simulated("Soil moisture", 1).highest == RANGES["soil-moisture"][1]


@pytest.fixture
def levels(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The values written to the relay's pin."""
    found: list[int] = []
    pin = SimpleNamespace(value=found.append)
    machine = SimpleNamespace(Pin=type("Pin", (), {"OUT": 1, "__new__": lambda *_: pin}))
    monkeypatch.setitem(sys.modules, "machine", machine)
    return found


def test_relay_has_hysteresis(levels: list[int]) -> None:
    relay = Relay(low=19, high=21)
    for payload, on in (
        *((b"20", 0), (b"18.9", 1), (b"20", 1), (b"21", 1)),
        *((b'{"temperature":21.1}', 0), (b"20", 0), (b"19", 0)),
    ):
        relay.on_message("a", payload)
        assert relay.read() == on
    assert levels == [1, 0]


def test_relay_limits_from_config(levels: list[int]) -> None:
    relay = Relay(low=19, high=21)
    assert relay.on_config({"set": {"low": 5, "high": 8}}) is None
    relay.on_message("a", b"4")
    relay.on_message("a", b"9")
    assert levels == [1, 0]
    assert relay.on_config({"set": {"low": 9, "high": 8}})
    assert (relay.low, relay.high) == (5, 8)
    assert relay.on_config({"set": {}}) is None
    assert (relay.low, relay.high) == (19, 21)


def test_ds18b20(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = [85.0, 21.437]
    bus = SimpleNamespace(
        scan=lambda: ["rom"], convert_temp=lambda: None, read_temp=lambda _: readings.pop(0)
    )
    any_call: Any = lambda *_: None  # noqa: E731
    monkeypatch.setitem(sys.modules, "machine", SimpleNamespace(Pin=any_call))
    monkeypatch.setitem(sys.modules, "onewire", SimpleNamespace(OneWire=any_call))
    monkeypatch.setitem(sys.modules, "ds18x20", SimpleNamespace(DS18X20=lambda _: bus))
    monkeypatch.setattr("esp_client.examples.ds18b20.CONVERSION_SECONDS", 0)
    sensor = DS18B20(4)
    assert sensor.on_config({"set": {"offset": "x"}})
    assert sensor.on_config({"set": {"offset": 0.5}}) is None
    assert [sensor.read(), sensor.read()] == [None, 21.94]
    bus.scan = list
    with pytest.raises(OSError, match="no DS18B20 on pin 4"):
        sensor.read()


def test_bme280(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = SimpleNamespace(read_compensated_data=lambda: (21.456, 101325.4, 40.26))
    machine = SimpleNamespace(Pin=int, SoftI2C=lambda **pins: pins)
    monkeypatch.setitem(sys.modules, "machine", machine)
    found: list[Any] = []
    module = SimpleNamespace(BME280=lambda i2c: found.append(i2c) or driver)
    monkeypatch.setitem(sys.modules, "bme280_float", module)
    sensor = BME280(scl=5, sda=4)
    expected = {"temperature": 21.46, "humidity": 40.3, "pressure": 1013.3}
    assert [sensor.read(), sensor.read()] == [expected] * 2
    assert found == [{"scl": 5, "sda": 4}]
