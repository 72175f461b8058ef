"""What goes on beside the requests, for as long as the database is there."""

from typing import Protocol

from resolvers.services import Services


class BackgroundTask(Protocol):
    """`name` in logs and metrics. `needed`: the server is not ready while it does not run."""

    name: str
    needed: bool

    def wake(self) -> None:
        """New events were written."""

    async def run(self, services: Services) -> None:
        """Until it is cancelled. Raises Unavailable."""
