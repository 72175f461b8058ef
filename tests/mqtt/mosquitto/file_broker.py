"""A Mosquitto that reads the files of Rollcall, and accounts for these files."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from domain.mqtt.accounts import Account, mosquitto_hash
from domain.mqtt.rights import SERVER_RIGHTS, device_rights
from mqtt.address import Address
from mqtt.mosquitto.files import MosquittoFiles
from tests.mqtt.paho_client import PahoClient
from tests.support.mosquitto import Mosquitto

PASSWORD = "a-password"
HASH = mosquitto_hash(PASSWORD)
SERVER = Account("rollcall", HASH, SERVER_RIGHTS)
BASE = "acme/paris/temperature"


def device(name: str, *listen: str, password_hash: str = HASH) -> Account:
    return Account(name, password_hash, device_rights([f"{BASE}/{name}"], listen))


def many(count: int) -> Iterator[Account]:
    return (device(f"{number:032x}") for number in range(count))


def written(folder: Path, accounts: Iterable[Account]) -> tuple[str, str]:
    files = MosquittoFiles(folder)
    files.write(accounts)
    return without_head(files.passwords), without_head(files.acl)


def without_head(path: Path) -> str:
    """Return the text without the first line, which names the generation."""
    return path.read_text().partition("\n")[2]


class Broker(Mosquitto):
    """A Mosquitto with Rollcall's files. `second_port`: for the server and for tools."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.address = Address(
            "127.0.0.1", self.second_port, username="rollcall", password=PASSWORD
        )
        self.files = self.writer()
        self.lines = (
            "use_username_as_clientid true",
            f"listener {self.second_port} 127.0.0.1",
            "allow_anonymous false",
            f"password_file {self.files.passwords}",
            f"acl_file {self.files.acl}",
            f"persistence true\npersistence_location {folder}/",
        )

    def writer(self) -> MosquittoFiles:
        """Return another writer for the same files, as another server has it."""
        return MosquittoFiles(self.folder, self.pid_file, self.address)

    def client(self, name: str, password: str = PASSWORD, **values: object) -> PahoClient:
        port = self.second_port if name == "rollcall" else self.port
        return PahoClient(port, name, password, **values)  # type: ignore[arg-type]

    def accepts(self, name: str, password: str = PASSWORD) -> bool:
        with self.client(name, password) as client:
            return client.connected
