"""What `mqtt/` relies on in paho-mqtt, beside its documented names."""

import ast
import inspect
import select
import socket
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.matcher import MQTTMatcher


def test_select_is_all_that_is_used_of_its_module() -> None:
    """`client/paho_poll` puts another object in the place of the module `select`."""
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


def test_a_loop_waits_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """`client/paho_poll.wait`: with three lists and the time, for three lists."""
    seen: list[Any] = []

    class Own:
        @staticmethod
        def select(*given: Any) -> Any:
            seen.append(given)
            return select.select(*given[:3], 0)

    monkeypatch.setattr(paho, "select", Own)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = paho.Client(paho.CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
        client.connect("127.0.0.1", listening.getsockname()[1])
        client.loop(0.5)
        read, write, wrong, seconds = seen[0]
        assert client.socket() in read
        assert (len(read), wrong) == (2, [])
        assert write in ([], [client.socket()])
        assert 0 <= seconds <= 0.5
        client.disconnect()
        client.loop(0.1)


def test_no_window_of_its_own() -> None:
    """`client/connection`: with 0, all that is published goes out at once."""
    client = paho.Client(paho.CallbackAPIVersion.VERSION2)
    client.max_inflight_messages_set(0)
    assert client.max_inflight_messages == 0
    client.connect_timeout = 2.5
    assert client.connect_timeout == 2.5


def test_the_tree_of_filters() -> None:
    """`embedded/subscription_tree`: a filter's value can be read, replaced and taken away."""
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
