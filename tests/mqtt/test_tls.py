"""A broker that requires TLS and a client certificate."""

import gc
from pathlib import Path

import pytest

from server.settings import Settings
from tests.conftest import ADMIN, changed, served
from tests.mqtt.certificates import Certificates
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import until


# paho-mqtt leaves the socket of a failed handshake to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_server_connects_with_ca_and_client_certificate(
    settings: Settings,
    certificates: Certificates,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    certificate, key = certificates.create("broker")
    client_certificate, client_key = certificates.create("rollcall")
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
        mqtt_certificate=client_certificate,
        mqtt_key=client_key,
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
