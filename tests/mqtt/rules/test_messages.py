"""The MQTT messages between the registration server and devices."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.devices.config import MAX_INTERVAL_SECONDS
from domain.inputs import MAX_VERSION
from domain.mqtt.messages import (
    ConfigMessage,
    StateReport,
    clear_messages,
    config_messages,
    parse_state,
    parse_status,
)
from domain.mqtt.topics import base_topic

BASE = "acme/paris/temperature/" + "0" * 32
CONFIG = ConfigMessage(BASE, 7, 60, 1, 1764000000)
LONGEST = base_topic("a" * 32, "b" * 32, "c" * 32, "f" * 32)
LATEST_TIMESTAMP = 2**33


def test_config_message() -> None:
    [message] = config_messages(CONFIG)
    assert message.topic == f"{BASE}/config"
    assert message.payload == b'{"v":7,"interval":60,"qos":1,"at":1764000000}'


def test_config_message_with_sources_and_former_topic() -> None:
    old = "acme/rome/temperature/" + "0" * 32
    listening = replace(CONFIG, listen=["acme/paris/+/+"], former=[old])
    here, there = config_messages(listening)
    assert (here.topic, there.topic) == (f"{BASE}/config", f"{old}/config")
    assert here.payload == there.payload
    values = json.loads(here.payload)
    assert values == {
        "v": 7,
        "interval": 60,
        "qos": 1,
        "at": 1764000000,
        "listen": ["acme/paris/+/+"],
        "topic": BASE,
    }
    assert b" " not in here.payload


def test_config_message_for_topic_of_former_owner_has_no_sources() -> None:
    old = "globex/rome/temperature/" + "0" * 32
    here, there = config_messages(replace(CONFIG, listen=["acme/paris/+/+"], former=[old]))
    assert json.loads(here.payload)["listen"] == ["acme/paris/+/+"]
    assert there.topic == f"{old}/config"
    assert json.loads(there.payload).keys() == {"v", "interval", "qos", "at", "topic"}


def test_longest_message_with_topic_has_196_bytes() -> None:
    [message] = config_messages(
        ConfigMessage(LONGEST, MAX_VERSION, MAX_INTERVAL_SECONDS, 2, LATEST_TIMESTAMP)
    )
    assert len(message.topic) + len(message.payload) == 196


def test_clear_messages_for_all_topics_of_a_device() -> None:
    topics = {message.topic for message in clear_messages(BASE) if not message.payload}
    assert topics == {BASE, f"{BASE}/config", f"{BASE}/state", f"{BASE}/status"}


@pytest.mark.parametrize(
    ("payload", "report"),
    [
        (b'{"v":7}', StateReport(7)),
        (b'{"v":7,"fw":"1.2.0"}', StateReport(7, "1.2.0")),
        (b'{"v": 7, "error": "no", "more": [1]}', StateReport(7, None, "no")),
        (b'{"v":7,"fw":5,"error":null}', StateReport(7)),
        (b'{"v":7,"fw":"  a\\u0000\\nb "}', StateReport(7, "ab")),
        (b'{"v":7,"fw":""}', StateReport(7)),
        (b'{"v":7,"error":"' + b"x" * 500 + b'"}', StateReport(7, None, "x" * 200)),
        (b"", None),
        (b"7", None),
        (b"[]", None),
        (b"{}", None),
        (b'{"v":0}', None),
        (b'{"v":true}', None),
        (b'{"v":7.0}', None),
        (b'{"v":"7"}', None),
        (b'{"v":2147483648}', None),
        (b"\xff", None),
        (b"[" * 1_000, None),
        (b'{"v":7,"x":"' + b"y" * 2_000 + b'"}', None),
    ],
)
def test_parse_state(payload: bytes, report: Any) -> None:
    assert parse_state(payload) == report


@given(st.binary())
def test_parse_accepts_any_bytes(payload: bytes) -> None:
    assert parse_state(payload) is None or isinstance(parse_state(payload), StateReport)
    assert parse_status(payload) in (None, True, False)


def test_parse_status() -> None:
    assert [parse_status(p) for p in (b"online", b"offline", b"", b"on")] == [
        True,
        False,
        None,
        None,
    ]
