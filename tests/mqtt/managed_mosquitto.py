"""A Mosquitto whose password and ACL files Rollcall writes."""

from pathlib import Path

from domain.mqtt.accounts import Account, mosquitto_hash
from domain.mqtt.rights import SERVER_RIGHTS
from mqtt.mosquitto.files import MosquittoFiles
from tests.support.mosquitto import Mosquitto

SERVER_PASSWORD = "the-servers-own"


def managed_mosquitto(folder: Path) -> Mosquitto:
    """Return a broker that is not started. Its first port is for devices, the second for the
    server and for tools.
    """
    rights = folder / "rights"
    rights.mkdir()
    server = Account("rollcall", mosquitto_hash(SERVER_PASSWORD), SERVER_RIGHTS)
    MosquittoFiles(rights).write([server])
    broker = Mosquitto(
        folder,
        "allow_anonymous false",
        f"password_file {rights / 'passwords'}",
        f"acl_file {rights / 'acl'}",
        "max_queued_messages 1000000",
        "use_username_as_clientid true",
    )
    broker.lines = (*broker.lines, f"listener {broker.second_port} 127.0.0.1")
    return broker


def settings_for(broker: Mosquitto) -> dict[str, str]:
    """Return the settings of a server that uses this broker."""
    return {
        "mqtt": "on",
        "mqtt_url": f"mqtt://rollcall:{SERVER_PASSWORD}@127.0.0.1:{broker.second_port}",
        "mosquitto_dir": str(broker.folder / "rights"),
        "mosquitto_pid_file": str(broker.pid_file),
    }
