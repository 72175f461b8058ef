from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.esp_client.neighbour import Neighbour
from tests.support.mosquitto import Mosquitto


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """An empty one that takes everybody."""
    broker = Mosquitto(tmp_path)
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def neighbour(broker: Mosquitto) -> Iterator[Neighbour]:
    neighbour = Neighbour(broker.port)
    yield neighbour
    neighbour.close()
