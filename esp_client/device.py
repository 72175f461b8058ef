"""A device's life: registered at the desk, at home at the broker, until it is stopped."""

# MicroPython has no name for the type of a function.
# mypy: disable-error-code="operator"

from esp_client import clock, modules
from esp_client.backoff import Backoff, jittered
from esp_client.clock import Timer
from esp_client.work import Work, reason

SLICE_SECONDS = 0.2
STEADY_SECONDS = 30
DESK_SECONDS = 600
KEEPALIVE_SECONDS = 60
TIMEOUT_SECONDS = 10


class Device:
    """`settings`: as for Client, and where there are such: `keepalive`, seconds; `desk_every`,
    seconds, after which a device that reaches no broker asks the desk again; `patience`, seconds
    for any answer. `log` takes lines. `client`: one that has booted already.

    Several devices may run in one process, each in a thread of its own.
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
        self.desk_every = getattr(settings, "desk_every", DESK_SECONDS)
        client = client or self.client()
        self.record = client.record
        self.wants_desk = not client.registered
        self.thorough = False
        self.desk_backoff = client.backoff
        self.desk, self.away = Timer(0), Timer(self.desk_every)
        self.work = Work(plugin, log)
        self.backoff = Backoff()
        self.stopped = False

    def client(self) -> object:
        from esp_client.client import Client

        return Client(self.settings, self.path, self.timeout)

    def run(self) -> None:
        """Returns after `stop`, within the time-out of a packet or request under way."""
        while not self.stopped:
            if self.wants_desk and not self.desk.remaining():
                self.ask()
            if self.record.device:
                self.work.adopt(self.record.device["config"], self.record.state.get("set"))
            if self.record.device and self.record.broker:
                self.attend()
            else:
                self.wants_desk = True
                self.wait(self.desk.remaining())

    def stop(self) -> None:
        """From any thread."""
        self.stopped = True

    def ask(self) -> None:
        """Once at the desk."""
        modules.unload(modules.BROKER)
        client = self.client()
        client.record, client.backoff = self.record, self.desk_backoff
        client.thorough = self.thorough
        pause = client.ask()
        self.desk_backoff = client.backoff
        self.wants_desk = pause > 0
        if not pause:
            self.thorough = not self.record.broker
            self.away = Timer(self.desk_every)
            pause = 0 if self.record.broker else jittered(self.desk_every)
        self.desk = Timer(pause)
        self.log(client.problem or "registered: " + client.outcome)

    def attend(self) -> None:
        """Once at the broker, for as long as it lasts; and the pause before the next time."""
        modules.unload(modules.DESK)
        from esp_client.session import Session

        session = Session(self.settings, self.record, self.work, self.log)
        problem = ""
        try:
            self.serve(session)
        except Exception as error:
            problem = reason(error)
            self.wants_desk = self.wants_desk or getattr(error, "refused", False)
        finally:
            session.drop()
        if problem:
            self.log("no broker: " + problem)
            self.thorough = True
            if not self.away.remaining():
                self.wants_desk = True
                self.away = Timer(self.desk_every)
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
            self.away = Timer(self.desk_every)

    def wait(self, seconds: float) -> None:
        timer = Timer(seconds)
        while not self.stopped and timer.remaining():
            clock.sleep(min(timer.remaining(), SLICE_SECONDS))
