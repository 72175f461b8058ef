"""Boot of a device: it registers, or continues with the stored config."""

import gc

from esp_client import api, clock, http
from esp_client.backoff import Backoff, jittered
from esp_client.record import Record

MAX_DELAY_SECONDS = 3600


class Refused(Exception):
    """The server rejects this token or key."""


class Client:
    """`settings` has url, key, ca, mac, owner, place, latitude, longitude, measurement_type,
    sensor_model, firmware; None if unknown. `thorough`: register even if nothing has changed; the
    response then has the broker too.
    """

    def __init__(self, settings: object, path: str, timeout: float = 10) -> None:
        self.settings = settings
        self.timeout = timeout
        self.record = Record(path)
        if not api.valid(self.state.get("device")):
            self.state.pop("device", None)
        if not api.valid_broker(self.state.get("broker")):
            self.state.pop("broker", None)
        # As text: some boards don't read back the same number that they wrote.
        self.facts = "\n".join([str(value) for _, value in api.facts(settings)])
        self.thorough = False
        self.registered = False
        self.outcome = ""
        self.problem = ""
        self.backoff = Backoff()

    @property
    def state(self) -> dict:
        return self.record.state

    @property
    def device(self) -> dict | None:
        """id, topics and config as last received; None before the first registration."""
        return self.record.device

    def boot(self, limit: float) -> bool:
        """Register, trying for `limit` seconds. False: use `device`, and try again later."""
        start = clock.now()
        while True:
            pause = self.attempt()
            if pause == 0:
                return True
            if clock.since(start) / 1000 + pause > limit:
                return False
            clock.sleep(pause)

    def attempt(self) -> float:
        """Try once. Returns 0 if the device may run, else seconds to wait before the next try."""
        gc.collect()
        try:
            found, bearer = self.register()
        except (http.HttpError, ValueError, OSError, RuntimeError, MemoryError) as error:
            # The latter two: JSON is nested too deeply.
            self.problem = str(error)
            if isinstance(error, (http.HttpError, OSError)):
                self.problem = self.settings.url + ": " + self.problem
            return self.backoff.next()
        if found is None:
            return self.delay(bearer)
        return self.accept(found, bearer)

    def register(self) -> tuple:
        """(payload, bearer), or (None, seconds) if the server is busy."""
        if self.is_known():
            token = self.state["token"]
            try:
                response = self.post(api.BOOT, token)
                if response.status in (429, 503):
                    return self.busy(response)
                if response.status == 200:
                    found = api.payload(response.body, "me")
                    return api.from_boot(found, self.device["id"]), token
            except (Refused, ValueError) as error:
                # Register again.
                self.problem = str(error)
        body = api.register(self.settings, self.record.version)
        for bearer in self.bearers():
            try:
                response = self.post(body, bearer)
            except Refused as error:
                self.problem = str(error)
                continue
            if response.status in (429, 503):
                return self.busy(response)
            if response.status != 200:
                raise ValueError("HTTP status " + str(response.status))
            found = api.registration(api.payload(response.body, "registerDevice"))
            if bearer == self.state.get("token"):
                self.state["reported"] = self.record.version
            self.state["facts"] = self.facts
            return found, bearer
        raise ValueError(self.problem)

    def is_known(self) -> bool:
        """True if the server already has the facts about this device."""
        state = self.state
        return bool(
            not self.thorough
            and state.get("token")
            and self.device
            and state.get("facts") == self.facts
        )

    def busy(self, response: http.Response) -> tuple:
        self.problem = "the server is busy"
        return None, response.retry_after

    def bearers(self) -> list:
        """Device token, pending token, enrolment key: in the order in which they are tried."""
        tokens = [self.state.get("token"), self.state.get("waiting")]
        return [token for token in tokens if token] + [self.settings.key or ""]

    def post(self, body: bytes, bearer: str) -> http.Response:
        settings = self.settings
        url = settings.url.rstrip("/") + "/graphql"
        response = http.post(url, body, bearer, self.timeout, settings.ca or "")
        if response.status == 401:
            raise Refused("the server does not know this token or key")
        return response

    def accept(self, found: dict, bearer: str) -> float:
        """Store the payload in the file, then acknowledge its config."""
        self.outcome = found["outcome"]
        device, token = found.get("device"), found.get("token")
        if device is None:
            if token:
                self.state["waiting"] = token
                self.record.save()
            self.problem = "waits for an administrator's approval"
            if self.outcome == "REJECTED":
                self.problem = "rejected by an administrator"
            return self.delay(found.get("retryAfterSeconds"))
        if token or bearer != self.settings.key:
            self.state["token"] = token or bearer
        self.state.pop("waiting", None)
        self.state["device"] = device
        if "broker" in found:
            self.state["broker"] = found["broker"]
        self.record.save()
        self.backoff = Backoff()
        self.problem = ""
        self.registered = True
        # The first use of a new token confirms it, also for the broker.
        if token or self.state.get("reported") != device["config"]["version"]:
            self.acknowledge()
        return 0

    def acknowledge(self) -> None:
        """The next boot repeats an acknowledgement that is lost."""
        version = self.record.version
        values = {"v": version, "fw": self.settings.firmware}
        try:
            response = self.post(api.request(api.ACKNOWLEDGE, values), self.state["token"])
        except (http.HttpError, Refused):
            return
        if response.status == 200:
            self.state["reported"] = version
            self.record.save()

    def delay(self, seconds: object) -> float:
        """Seconds that the server asks for, limited and with jitter; else those of the backoff."""
        if isinstance(seconds, int) and seconds > 0:
            return jittered(min(seconds, MAX_DELAY_SECONDS))
        return self.backoff.next()
