"""The request in docs/devices.md is the one that the client sends."""

import re
from pathlib import Path

from esp_client import desk

PAGE = Path(__file__).parent.parent.parent / "docs" / "devices.md"


def test_the_documented_request_is_the_real_one() -> None:
    page = PAGE.read_text()
    head, _, body = page.partition("POST /graphql HTTP/1.0\n")[2].partition("\n\n")
    shown = body.partition("\n```")[0]
    values = {
        "mac": "246f28aabbcc",
        "owner": "Acme",
        "location": {"place": "Paris", "latitude": 48.85, "longitude": 2.35},
        "measurementType": "temperature",
        "sensorModel": "BME280",
        "firmware": "1.0.0",
    }
    real = desk.request(desk.REGISTER, values)
    assert re.sub(r"\s", "", shown) == re.sub(r"\s", "", real.decode())
    assert f"Content-Length: {len(real)}\n" in head + "\n"
