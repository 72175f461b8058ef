"""Background tasks that run while the database is available."""

from typing import Protocol

from resolvers.services import Services


class BackgroundTask(Protocol):
    """`name`: for logs and metrics. `needed`: `/readyz` fails while the task does not run."""

    name: str
    needed: bool

    def wake(self) -> None:
        """New events were committed."""

    async def run(self, services: Services) -> None:
        """Run until cancelled. Raises Unavailable if the database is lost."""
