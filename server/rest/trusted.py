"""The trusted documents and their REST routes, which can be replaced while the server runs."""

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from schema.engine.documents import Document
from schema.engine.execution import Engine
from schema.engine.trusted_documents import BadTrustedDocument, trusted_documents
from schema.routes.routes import route_lines, routes_of
from server.rest.endpoint import Endpoints, Rest

log = logging.getLogger("rollcall.server")


class TrustedFiles(NamedTuple):
    """Texts of documents by id, and document ids by method and path, as read from files."""

    texts: Mapping[str, str]
    lines: Mapping[str, str]


class _Checked(NamedTuple):
    files: TrustedFiles
    documents: Mapping[str, Document]
    endpoints: Endpoints


def read_files(folder: Path | None) -> TrustedFiles:
    """`folder`: the operator's. Raises BadTrustedDocument if a file is invalid."""
    return TrustedFiles(trusted_documents(folder), route_lines(folder))


class Trusted:
    """What is in force. `files`: from which it was made; valid if `reload` has read them.

    Raises BadTrustedDocument if a route is invalid.
    """

    def __init__(
        self, engine: Engine, rest: Rest, files: TrustedFiles, folder: Path | None
    ) -> None:
        self.files = files
        self._engine = engine
        self._rest = rest
        self._folder = folder
        rest.replace(self._endpoints(engine.trusted, files))

    async def reload(self) -> None:
        """Read the files again, in a thread. If one is invalid, log it and change nothing."""
        self._use(await asyncio.to_thread(self._read))

    def reload_now(self) -> bool:
        """As `reload`, without an event loop. False: a file is invalid."""
        checked = self._read()
        self._use(checked)
        return checked is not None

    def _read(self) -> _Checked | None:
        try:
            files = read_files(self._folder)
            documents = self._engine.read_trusted(files.texts)
            return _Checked(files, documents, self._endpoints(documents, files))
        except BadTrustedDocument as error:
            text = "ROLLCALL_TRUSTED_DOCUMENTS: %s The earlier documents and routes stay in force."
            log.error(text, " ".join(f"{error}".split()))  # noqa: TRY400  the text says enough
            return None

    def _use(self, checked: _Checked | None) -> None:
        if checked is None:
            return
        self.files = checked.files
        self._engine.replace_trusted(checked.documents)
        self._rest.replace(checked.endpoints)
        log.info("Trusted documents and REST routes were read again.")

    def _endpoints(self, documents: Mapping[str, Document], files: TrustedFiles) -> Endpoints:
        return self._rest.endpoints(routes_of(self._engine.schema, documents, files.lines))
