"""Undocumented behaviour of paho-mqtt that `mqtt/` relies on."""

import ast
import inspect
import select
import socket
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.matcher import MQTTMatcher


def test_only_function_select_of_select_module_is_used() -> None:
    """`client/paho_poll` replaces the module `select`."""
    tree = ast.parse(inspect.getsource(paho))
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "select"
    }
    assert used == {"select"}
    imported = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "select"
        for alias in node.names
    }
    assert imported == set()


def test_loop_waits_with_replaced_select(monkeypatch: pytest.MonkeyPatch) -> None:
    """`client/paho_poll` replaces `select`: it gets three lists and a timeout."""
    seen: list[Any] = []

    class RecordingSelect:
        @staticmethod
        def select(*arguments: Any) -> Any:
            seen.append(arguments)
            return select.select(*arguments[:3], 0)

    monkeypatch.setattr(paho, "select", RecordingSelect)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = paho.Client(paho.CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
        client.connect("127.0.0.1", listening.getsockname()[1])
        client.loop(0.5)
        read, write, exceptional, seconds = seen[0]
        assert client.socket() in read
        assert (len(read), exceptional) == (2, [])
        assert write in ([], [client.socket()])
        assert 0 <= seconds <= 0.5
        client.disconnect()
        client.loop(0.1)


def test_inflight_limit_can_be_disabled() -> None:
    """`client/connection`: 0 means that all messages are sent at once."""
    client = paho.Client(paho.CallbackAPIVersion.VERSION2)
    client.max_inflight_messages_set(0)
    assert client.max_inflight_messages == 0
    client.connect_timeout = 2.5
    assert client.connect_timeout == 2.5


def test_matcher_reads_replaces_and_deletes_filters() -> None:
    """`embedded/subscription_tree` reads, replaces and deletes the value of a filter."""
    tree: Any = MQTTMatcher()
    with pytest.raises(KeyError):
        tree["a/b"]
    for filter in ("a/b", "a/+", "#", "a/#", "x"):
        tree[filter] = {filter: 1}
    assert tree["a/+"] == {"a/+": 1}
    assert [*tree.iter_match("a/b")] == [{"a/b": 1}, {"a/+": 1}, {"a/#": 1}, {"#": 1}]
    assert {*map(str, tree.iter_match("a"))} == {"{'a/#': 1}", "{'#': 1}"}
    assert [*tree.iter_match("$SYS/a")] == []
    del tree["a/+"]
    with pytest.raises(KeyError):
        tree["a/+"]
    assert tree["a/b"] == {"a/b": 1}
