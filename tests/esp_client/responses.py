"""Responses of the server to a device."""

import json
from typing import Any

from tests.esp_client.scripted import http

TOPICS = {
    "data": "a/b/c/f",
    "config": "a/b/c/f/config",
    "state": "a/b/c/f/state",
    "status": "a/b/c/f/status",
    "listen": [],
}
DEVICE: dict[str, Any] = {
    "id": "f" * 32,
    "topics": TOPICS,
    "config": {"version": 3, "intervalSeconds": 60, "qos": 1},
}
SETTINGS: dict[str, Any] = {
    "key": "rce_key",
    "ca": None,
    "mac": "246f28aabbcc",
    "owner": "Acme",
    "place": "Paris",
    "latitude": 48.85,
    "longitude": 2.35,
    "measurement_type": "temperature",
    "sensor_model": None,
    "firmware": "1.0",
}
UNAUTHENTICATED = http(
    b'{"errors":[{"message":"x","extensions":{"code":"UNAUTHENTICATED"}}]}', "401 Unauthorized"
)


def registered(**values: Any) -> bytes:
    payload = {
        "outcome": "KNOWN",
        "token": None,
        "retryAfterSeconds": None,
        "device": DEVICE,
        "broker": None,
        "errors": [],
        **values,
    }
    return http(json.dumps({"data": {"registerDevice": payload}}).encode())


def booted(**values: Any) -> bytes:
    me = {"t": {"d": "a/b/c/f", "l": []}, "c": {"v": 3, "i": 60, "q": 1}, **values}
    return http(json.dumps({"data": {"me": me}}).encode())


CREATED = registered(outcome="CREATED", token="rcd_own")
ACKNOWLEDGED = http(b'{"data":{"acknowledgeConfig":{"errors":[]}}}')
