"""The server at a broker that wants TLS, and to see a certificate."""

import gc
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from server.settings import Settings
from tests.conftest import ADMIN, changed, served
from tests.mosquitto import Mosquitto
from tests.waiting import until

SUBJECT_ALT_NAME = "subjectAltName=IP:127.0.0.1"


class Certificates:
    """A CA, and certificates that it has signed; made by openssl."""

    def __init__(self, folder: Path) -> None:
        if shutil.which("openssl") is None and os.environ.get("CI") != "true":
            pytest.skip("needs openssl")
        self.folder = folder
        self._run("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test-ca", "ca", "ca")
        self.ca = folder / "ca.pem"

    def made(self, name: str) -> tuple[Path, Path]:
        """Certificate and key."""
        signed = "-CA ca.pem -CAkey ca.key -addext " + SUBJECT_ALT_NAME
        self._run(
            f"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={name} {signed}", name, name
        )
        return self.folder / f"{name}.pem", self.folder / f"{name}.key"

    def _run(self, command: str, certificate: str, key: str) -> None:
        subprocess.run(
            ["openssl", *command.split(), "-out", f"{certificate}.pem", "-keyout", f"{key}.key"],
            cwd=self.folder,
            check=True,
            capture_output=True,
        )


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


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
