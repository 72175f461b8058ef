"""How a device boots: it registers, or goes on with what it was told the last time."""

import gc

from esp_client import api, clock, http
from esp_client.backoff import Backoff, jittered
from esp_client.record import Record

LONGEST_ADVICE_SECONDS = 3600


class Refused(Exception):
    """The server does not take this token."""


class Client:
    """`settings` has url, key, ca, mac, owner, place, latitude, longitude, measurement_type,
    sensor_model, firmware; None where unknown. `thorough`: it asks for all anew, also where the
    broker is, although it has been registered as it is.
    """

    def __init__(self, settings: object, path: str, timeout: float = 10) -> None:
        self.settings = settings
        self.timeout = timeout
        self.record = Record(path)
        if not api.valid(self.state.get("device")):
            self.state.pop("device", None)
        if not api.reachable(self.state.get("broker")):
            self.state.pop("broker", None)
        # As text: not every board reads a number as it has written it.
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
        """id, topics and config as they were last received; None before the first time."""
        return self.record.device

    def boot(self, limit: float) -> bool:
        """Registers, trying for `limit` seconds. False: go on with `device`, and try later."""
        start = clock.now()
        while True:
            pause = self.ask()
            if pause == 0:
                return True
            if clock.since(start) / 1000 + pause > limit:
                return False
            clock.sleep(pause)

    def ask(self) -> float:
        """One attempt: 0 when the device may run, else seconds to wait before the next."""
        gc.collect()
        try:
            found, bearer = self.register()
        except (http.HttpError, ValueError, OSError, RuntimeError, MemoryError) as error:
            # The latter two: of JSON that is nested too deeply.
            self.problem = str(error)
            if isinstance(error, (http.HttpError, OSError)):
                self.problem = self.settings.url + ": " + self.problem
            return self.backoff.next()
        if found is None:
            return self.advised(bearer)
        return self.accept(found, bearer)

    def register(self) -> tuple:
        """(payload, bearer), or (None, seconds) where the server asked to come back later."""
        if self.is_known():
            token = self.state["token"]
            try:
                answer = self.post(api.BOOT, token)
                if answer.status in (429, 503):
                    return self.busy(answer)
                if answer.status == 200:
                    found = api.payload(answer.body, "me")
                    return api.booted(found, self.device["id"]), token
            except (Refused, ValueError) as error:
                # It says who it is again.
                self.problem = str(error)
        body = api.registering(self.settings, self.record.version)
        for bearer in self.bearers():
            try:
                answer = self.post(body, bearer)
            except Refused as error:
                self.problem = str(error)
                continue
            if answer.status in (429, 503):
                return self.busy(answer)
            if answer.status != 200:
                raise ValueError("the server answered " + str(answer.status))
            found = api.registration(api.payload(answer.body, "registerDevice"))
            if bearer == self.state.get("token"):
                self.state["told"] = self.record.version
            self.state["facts"] = self.facts
            return found, bearer
        raise ValueError(self.problem)

    def is_known(self) -> bool:
        """Whether the server knows already all that it has to say of itself."""
        state = self.state
        return bool(
            not self.thorough
            and state.get("token")
            and self.device
            and state.get("facts") == self.facts
        )

    def busy(self, answer: http.Answer) -> tuple:
        self.problem = "the server is busy"
        return None, answer.retry_after

    def bearers(self) -> list:
        """The device's token, the one that waits for approval, the enrolment key; best first."""
        known = [self.state.get("token"), self.state.get("waiting")]
        return [token for token in known if token] + [self.settings.key or ""]

    def post(self, body: bytes, bearer: str) -> http.Answer:
        settings = self.settings
        url = settings.url.rstrip("/") + "/graphql"
        answer = http.post(url, body, bearer, self.timeout, settings.ca or "")
        if answer.status == 401:
            raise Refused("the server does not know this token or key")
        return answer

    def accept(self, found: dict, bearer: str) -> float:
        """Keeps what was told, first of all in the file; then lets the server know."""
        self.outcome = found["outcome"]
        device, token = found.get("device"), found.get("token")
        if device is None:
            if token:
                self.state["waiting"] = token
                self.record.save()
            self.problem = "waits for an administrator's approval"
            if self.outcome == "REJECTED":
                self.problem = "rejected by an administrator"
            return self.advised(found.get("retryAfterSeconds"))
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
        # The first use of a new token puts it in force, also at a broker.
        if token or self.state.get("told") != device["config"]["version"]:
            self.acknowledge()
        return 0

    def acknowledge(self) -> None:
        """If this is lost, the next boot says it again."""
        version = self.record.version
        values = {"v": version, "fw": self.settings.firmware}
        try:
            answer = self.post(api.request(api.ACKNOWLEDGE, values), self.state["token"])
        except (http.HttpError, Refused):
            return
        if answer.status == 200:
            self.state["told"] = version
            self.record.save()

    def advised(self, seconds: object) -> float:
        """What the server asked for, within reason; else our own pace."""
        if isinstance(seconds, int) and seconds > 0:
            return jittered(min(seconds, LONGEST_ADVICE_SECONDS))
        return self.backoff.next()
