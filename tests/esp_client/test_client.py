"""The boot of a device for valid, invalid and missing responses of the server."""

import json
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from esp_client import clock, store
from esp_client.backoff import LONGEST_SECONDS, Backoff
from esp_client.client import Client
from tests.esp_client.responses import (
    ACKNOWLEDGED,
    CREATED,
    DEVICE,
    SETTINGS,
    UNAUTHENTICATED,
    booted,
    registered,
)
from tests.esp_client.scripted import Scripted, http, scripted
from tests.support.timing import delay
from tests.support.waiting import WAIT_SECONDS


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as server:
        yield server


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "state.json")


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found: list[float] = []
    monkeypatch.setattr(clock, "sleep", found.append)
    return found


def client(server: Scripted, path: str, timeout: float = WAIT_SECONDS, **settings: Any) -> Client:
    values = {**SETTINGS, "url": server.url, **settings}
    return Client(Namespace(**values), path, timeout=timeout)


def sent(server: Scripted, number: int) -> tuple[str, dict[str, Any]]:
    """Return the bearer token and the variables of a request."""
    head, _, body = server.requests[number].partition(b"\r\n\r\n")
    bearer = head.partition(b"Bearer ")[2].partition(b"\r\n")[0].decode()
    return bearer, json.loads(body).get("variables", {})


def test_first_boot_registers_stores_and_acknowledges(server: Scripted, path: str) -> None:
    server.responses = [CREATED, ACKNOWLEDGED]
    device = client(server, path)
    assert device.boot(1)
    assert device.device == DEVICE
    assert store.load(path)["token"] == "rcd_own"
    bearer, values = sent(server, 0)
    assert bearer == "rce_key"
    assert values == {
        "mac": "246f28aabbcc",
        "owner": "Acme",
        "place": "Paris",
        "lat": 48.85,
        "lon": 2.35,
        "type": "temperature",
        "fw": "1.0",
    }
    assert sent(server, 1) == ("rcd_own", {"v": 3, "fw": "1.0"})


def test_later_boot_is_one_small_request(server: Scripted, path: str) -> None:
    server.responses = [CREATED, ACKNOWLEDGED, booted()]
    assert client(server, path).boot(1)
    later = client(server, path)
    assert later.boot(1)
    assert later.outcome == "KNOWN"
    assert server.requests[2].endswith(b'\r\n\r\n{"documentId":"b"}')
    assert sent(server, 2)[0] == "rcd_own"
    assert later.device == DEVICE
    assert len(server.requests) == 3


def test_boot_stores_and_acknowledges_a_new_config(server: Scripted, path: str) -> None:
    server.responses = [
        CREATED,
        ACKNOWLEDGED,
        booted(t={"d": "a/x/c/f", "l": ["a/+"]}, c={"v": 4, "i": 5, "q": 0}),
        ACKNOWLEDGED,
    ]
    assert client(server, path).boot(1)
    assert client(server, path).boot(1)
    assert sent(server, 3) == ("rcd_own", {"v": 4, "fw": "1.0"})
    device = store.load(path)["device"]
    assert device["topics"]["state"] == "a/x/c/f/state"
    assert device["topics"]["listen"] == ["a/+"]
    assert device["config"] == {"version": 4, "intervalSeconds": 5, "qos": 0}


def test_lost_acknowledgement_is_sent_again_at_next_boot(server: Scripted, path: str) -> None:
    server.responses = [CREATED, b"", booted(), ACKNOWLEDGED, booted()]
    for _ in range(3):
        assert client(server, path).boot(1)
    assert sent(server, 3) == ("rcd_own", {"v": 3, "fw": "1.0"})
    assert len(server.requests) == 5


@pytest.mark.parametrize("change", [{"firmware": "1.1"}, {"place": "Rome"}, {"latitude": 1.0}])
def test_changed_device_registers_again(
    server: Scripted, path: str, change: dict[str, Any]
) -> None:
    server.responses = [CREATED, ACKNOWLEDGED, registered(), booted()]
    assert client(server, path).boot(1)
    for _ in range(2):
        assert client(server, path, **change).boot(1)
    bearer, values = sent(server, 2)
    assert (bearer, values["applied"]) == ("rcd_own", 3)
    assert server.requests[3].endswith(b'{"documentId":"b"}')


UNUSABLE = {
    "refused": UNAUTHENTICATED,
    "no device": http(b'{"data":{"me":null}}'),
    "no topics": http(b'{"data":{"me":{"c":{"v":3,"i":60,"q":1}}}}'),
    "a list": http(b"[]"),
    "errors": http(b'{"errors":[{"message":"no such document"}]}'),
    "an odd config": http(b'{"data":{"me":{"t":{"d":"a","l":[]},"c":{"v":3,"i":0,"q":1}}}}'),
    "not found": http(b"", "404 Not Found"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_unusable_boot_response_is_followed_by_a_registration(
    server: Scripted, path: str, name: str
) -> None:
    server.responses = [CREATED, ACKNOWLEDGED, UNUSABLE[name], registered()]
    assert client(server, path).boot(1)
    assert client(server, path).boot(1)
    assert sent(server, 3)[1]["mac"] == "246f28aabbcc"
    assert store.load(path)["device"] == DEVICE


def test_busy_server_gets_no_second_request(server: Scripted, path: str) -> None:
    server.responses = [CREATED, ACKNOWLEDGED, http(b"", "503 Unavailable", "Retry-After: 7\r\n")]
    assert client(server, path).boot(1)
    assert 7 <= client(server, path).attempt() <= 10.5
    assert len(server.requests) == 3


def test_lost_acknowledgement_keeps_the_registration(server: Scripted, path: str) -> None:
    server.responses = [CREATED, b""]
    assert client(server, path).boot(1)
    assert store.load(path)["device"] == DEVICE


def test_rejected_token_falls_back_to_enrolment_key(server: Scripted, path: str) -> None:
    store.save(path, {"token": "rcd_old", "device": DEVICE})
    server.responses = [UNAUTHENTICATED, registered(outcome="RENEWED", token="rcd_new")]
    assert client(server, path).boot(1)
    assert [sent(server, n)[0] for n in (0, 1)] == ["rcd_old", "rce_key"]
    assert store.load(path)["token"] == "rcd_new"


def test_rejected_token_is_stored_until_there_is_a_new_one(server: Scripted, path: str) -> None:
    store.save(path, {"token": "rcd_old", "device": DEVICE})
    server.responses = [UNAUTHENTICATED, UNAUTHENTICATED]
    assert not client(server, path).boot(0)
    assert store.load(path)["token"] == "rcd_old"


def test_pending_device_retries_with_its_pending_token(
    server: Scripted, path: str, pauses: list[float]
) -> None:
    pending = {"outcome": "PENDING", "device": None, "retryAfterSeconds": 30}
    server.responses = [
        registered(**pending, token="rcd_waiting"),
        registered(**pending),
        registered(),
        ACKNOWLEDGED,
    ]
    assert client(server, path).boot(100)
    assert [sent(server, n)[0] for n in (0, 1, 2)] == ["rce_key", "rcd_waiting", "rcd_waiting"]
    assert all(30 <= pause <= 45 for pause in pauses)
    state = store.load(path)
    assert (state["token"], state.get("waiting")) == ("rcd_waiting", None)


@pytest.mark.parametrize(
    ("response", "minimum"),
    [
        (http(b"", "503 Unavailable", "Retry-After: 7\r\n"), 7),
        (http(b"", "429 Too Many", "Retry-After: 9\r\n"), 9),
        (registered(outcome="REJECTED", device=None, retryAfterSeconds=60), 60),
        (http(b"", "503 Unavailable", "Retry-After: 99999999\r\n"), 3600),
    ],
)
def test_pause_respects_retry_after(
    server: Scripted, path: str, response: bytes, minimum: float
) -> None:
    server.responses = [response]
    assert minimum <= client(server, path).attempt() <= minimum * 1.5


WRONG = {
    "nothing": b"",
    "not HTTP": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "HTML": http(b"<html>502</html>", "502 Bad Gateway"),
    "HTML as success": http(b"<html>captive portal</html>"),
    "a redirect": http(b"", "302 Found", "Location: /\r\n"),
    "no status": b"HTTP/1.1\r\n\r\n",
    "status no number": b"HTTP/1.1 abc OK\r\n\r\n{}",
    "cut off": http(b"{" * 20)[:-5],
    "in chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "a huge body": http(b"x" * 100_000),
    "a huge head": b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 10_000,
    "bad length": b"HTTP/1.1 200 OK\r\nContent-Length: -4\r\n\r\n{}",
    "invalid UTF-8": http(b'{"data": "\xff"}'),
    "a list": http(b"[]"),
    "null": http(b"null"),
    "a number": http(b"1"),
    "no data": http(b'{"data": null}'),
    "errors of another shape": http(b'{"errors": "no"}'),
    "an outcome unknown": registered(outcome="MAYBE"),
    "no device": registered(device=None),
    "no topics": registered(device={**DEVICE, "topics": None}),
    "an empty topic": registered(device={**DEVICE, "topics": {**DEVICE["topics"], "data": ""}}),
    "qos 3": registered(device={**DEVICE, "config": {**DEVICE["config"], "qos": 3}}),
    "qos true": registered(device={**DEVICE, "config": {**DEVICE["config"], "qos": True}}),
    "no interval": registered(device={**DEVICE, "config": {"version": 1, "qos": 1}}),
    "a token that is none": registered(token=5),
    "user errors": registered(
        outcome=None,
        device=None,
        errors=[{"code": "INVALID", "field": "mac", "message": "Not a MAC address."}],
    ),
    "user errors of another shape": registered(errors=["no"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_invalid_response_changes_nothing(server: Scripted, path: str, name: str) -> None:
    store.save(path, {"token": "rcd_own", "device": DEVICE})
    server.responses = [WRONG[name]]
    device = client(server, path)
    assert not device.boot(0)
    assert device.problem
    assert device.device == DEVICE
    assert store.load(path) == {"token": "rcd_own", "device": DEVICE}


@pytest.mark.alone
def test_endless_response_times_out(server: Scripted, path: str) -> None:
    server.responses = [b"HTTP/1.1 200 OK\r\n"]
    server.hold_open = True
    start = clock.now()
    assert not client(server, path, timeout=0.5).boot(0)
    assert clock.since(start) < 3000 * delay()


def test_https_without_ca_certificate_is_rejected(server: Scripted, path: str) -> None:
    device = client(server, path, url=server.url.replace("http:", "https:"))
    assert not device.boot(0)
    assert "CA certificate" in device.problem


def test_backoff_pauses_grow_are_capped_and_differ() -> None:
    backoffs = [Backoff() for _ in range(20)]
    pauses = [[backoff.next() for _ in range(12)] for backoff in backoffs]
    for steps in zip(*pauses, strict=True):
        assert len(set(steps)) > 10
    assert all(steps[-1] <= LONGEST_SECONDS * 1.5 for steps in pauses)
    assert all(steps[3] > steps[1] for steps in pauses)
