"""The server at a broker that wants TLS, and to see a certificate."""

import gc
from pathlib import Path

import pytest

from server.settings import Settings
from tests.conftest import ADMIN, changed, served
from tests.mqtt.certificates import Certificates
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import until


# paho-mqtt leaves the socket of a handshake that failed to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_with_a_ca_and_a_certificate_of_its_own(
    settings: Settings,
    certificates: Certificates,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    certificate, key = certificates.made("broker")
    own_certificate, own_key = certificates.made("rollcall")
    broker = Mosquitto(
        tmp_path,
        f"cafile {certificates.ca}",
        f"certfile {certificate}",
        f"keyfile {key}",
        "require_certificate true",
        "use_identity_as_username true",
    )
    broker.start()
    trusting = changed(
        settings,
        mqtt="on",
        mqtt_url=f"mqtts://127.0.0.1:{broker.port}",
        mqtt_ca=certificates.ca,
        mqtt_certificate=own_certificate,
        mqtt_key=own_key,
    )
    try:
        async with served(trusting) as api:
            found = await api.register(ADMIN)
            assert found["broker"]["tls"] is True
            topic = f"{found['device']['topics']['data']}/config"
            await until(lambda: topic in broker.log.read_text())
        assert "u'rollcall'" in broker.log.read_text()
        async with served(changed(trusting, mqtt_ca=None)) as api:
            await until(lambda: "alert unknown ca" in broker.log.read_text())
            await until(lambda: "CERTIFICATE_VERIFY_FAILED" in caplog.text)
            assert not api.app.state.broker.client.connected
    finally:
        broker.stop()
        gc.collect()
