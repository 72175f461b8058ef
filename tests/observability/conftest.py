"""Fixture that resets the log levels of OpenTelemetry."""

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture
def reset_log_levels() -> Iterator[None]:
    yield
    for name in logging.root.manager.loggerDict:
        if name.startswith("opentelemetry"):
            logging.getLogger(name).setLevel(logging.NOTSET)
