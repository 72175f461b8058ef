"""Runs a device: it registers at the server, then stays connected to the broker."""

# MicroPython has no name for the type of a function.
# mypy: disable-error-code="operator"

from esp_client import clock, modules
from esp_client.backoff import Backoff, jittered
from esp_client.clock import Timer
from esp_client.sampler import Sampler, reason

SLICE_SECONDS = 0.2
STEADY_SECONDS = 30
SERVER_SECONDS = 600
KEEPALIVE_SECONDS = 60
TIMEOUT_SECONDS = 10


class Device:
    """`settings`: as for Client, and three optional ones, in seconds: `keepalive`; `server_every`,
    after which a device without a broker registers again; `patience`, the limit for each response.
    `log` is called with lines. `client`: one that has booted.

    Several devices may run in one process, each in its own thread.
    """

    def __init__(
        self,
        settings: object,
        path: str,
        plugin: object,
        log: object = print,
        client: object = None,
    ) -> None:
        self.settings = settings
        self.path = path
        self.log = log
        self.keepalive = max(2, getattr(settings, "keepalive", KEEPALIVE_SECONDS))
        self.timeout = getattr(settings, "patience", TIMEOUT_SECONDS)
        self.server_every = getattr(settings, "server_every", SERVER_SECONDS)
        client = client or self.client()
        self.record = client.record
        self.must_register = not client.registered
        self.thorough = False
        self.server_backoff = client.backoff
        self.server_timer, self.outage = Timer(0), Timer(self.server_every)
        self.sampler = Sampler(plugin, log)
        self.backoff = Backoff()
        self.stopped = False

    def client(self) -> object:
        from esp_client.client import Client

        return Client(self.settings, self.path, self.timeout)

    def run(self) -> None:
        """Returns after `stop`, within the timeout of the current packet or request."""
        while not self.stopped:
            if self.must_register and not self.server_timer.remaining():
                self.register()
            if self.record.device:
                self.sampler.adopt(self.record.device["config"], self.record.state.get("set"))
            if self.record.device and self.record.broker:
                self.connect()
            else:
                self.must_register = True
                self.wait(self.server_timer.remaining())

    def stop(self) -> None:
        """May be called from any thread."""
        self.stopped = True

    def register(self) -> None:
        """Try once to register."""
        modules.unload(modules.BROKER)
        client = self.client()
        client.record, client.backoff = self.record, self.server_backoff
        client.thorough = self.thorough
        pause = client.attempt()
        self.server_backoff = client.backoff
        self.must_register = pause > 0
        if not pause:
            self.thorough = not self.record.broker
            self.outage = Timer(self.server_every)
            pause = 0 if self.record.broker else jittered(self.server_every)
        self.server_timer = Timer(pause)
        self.log(client.problem or "registered: " + client.outcome)

    def connect(self) -> None:
        """Run one connection to the broker until it ends. After an error, wait before the next."""
        modules.unload(modules.SERVER)
        from esp_client.session import Session

        session = Session(self.settings, self.record, self.sampler, self.log)
        problem = ""
        try:
            self.serve(session)
        except Exception as error:
            problem = reason(error)
            self.must_register = self.must_register or getattr(error, "refused", False)
        finally:
            session.drop()
        if problem:
            self.log("no broker: " + problem)
            self.thorough = True
            if not self.outage.remaining():
                self.must_register = True
                self.outage = Timer(self.server_every)
            self.wait(self.backoff.next())

    def serve(self, session: object) -> None:
        host = self.record.broker["host"] or self.settings.url.split("/")[2].split(":")[0]
        session.open(host, self.keepalive, self.timeout)
        self.log("connected to %s:%d" % (host, self.record.broker["port"]))
        steady = Timer(STEADY_SECONDS)
        try:
            while not self.stopped and not session.moved:
                session.step(SLICE_SECONDS)
                if not steady.remaining():
                    self.backoff.reset()
            session.leave(self.stopped)
        finally:
            self.outage = Timer(self.server_every)

    def wait(self, seconds: float) -> None:
        timer = Timer(seconds)
        while not self.stopped and timer.remaining():
            clock.sleep(min(timer.remaining(), SLICE_SECONDS))
