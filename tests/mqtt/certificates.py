"""TLS certificates for brokers and their clients."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SUBJECT_ALT_NAME = "subjectAltName=IP:127.0.0.1"


class Certificates:
    """A CA and certificates that it has signed, created with openssl."""

    def __init__(self, folder: Path) -> None:
        if shutil.which("openssl") is None and os.environ.get("CI") != "true":
            pytest.skip("needs openssl")
        self.folder = folder
        self._run("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test-ca", "ca", "ca")
        self.ca = folder / "ca.pem"

    def create(self, name: str) -> tuple[Path, Path]:
        """Return the paths of the certificate and the key."""
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
