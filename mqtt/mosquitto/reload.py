"""Makes a running Mosquitto read its files again, and knows when it has."""

import logging
import time
from pathlib import Path

from mqtt.mosquitto.probe import Answer, Probe, new_name
from mqtt.mosquitto.process import MosquittoProcess

log = logging.getLogger("rollcall.mqtt")

# Between signals that had no effect: Mosquitto 2.0 loses those that come during a reload.
PAUSES_SECONDS = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0)
# Until a Mosquitto that runs answers: it may be reading a large database at its start.
START_SECONDS = 120.0
LOOK_SECONDS = 0.05


class Reload:
    """`seconds`: of its CPU time that Mosquitto spent on the last one, deaf to its clients."""

    def __init__(self, pid_file: Path, probe: Probe) -> None:
        self.seconds = 0.0
        self.probe = probe
        self._pid_file = pid_file
        self._confirmed: str | None = None
        self._blind: bool | None = None

    def until_read(self, name: str, *, changed: bool) -> None:
        """Block until Mosquitto has read the files of this generation, and serves its clients.

        `changed`: since this generation was written just now, Mosquitto can't have read it.
        Returns at once if no Mosquitto runs: it reads them at its start.
        Raises TimeoutError if it does not read them or the probe is cancelled, PermissionError if
        this process may not signal it.
        """
        if name == self._confirmed:
            return
        answer = Answer.UNREAD if changed else self.probe.ask(name)
        if not self._proves(answer):
            answer = self._signal_until_read(name, answer)
        if self._proves(answer):
            self._confirmed = name

    def _signal_until_read(self, name: str, answer: Answer) -> Answer:
        """UNREACHABLE if nothing runs."""
        pauses, deadline = iter(PAUSES_SECONDS), time.monotonic() + START_SECONDS
        while True:
            process = MosquittoProcess.found_by(self._pid_file)
            if answer is Answer.UNREACHABLE:
                if process is None:
                    return answer
                pause = LOOK_SECONDS if time.monotonic() < deadline else None
                answer = self.probe.ask(name)
            else:
                pause = next(pauses, None)
                answer = self._signal_and_ask(process, name)
            if self._proves(answer):
                return answer
            if pause is None or self.probe.cancelled.wait(pause):
                raise TimeoutError(self._complaint(process, answer))

    def _proves(self, answer: Answer) -> bool:
        """That it has read the files; or all that can be known of a listener without passwords."""
        if answer in (Answer.UNREAD, Answer.UNREACHABLE):
            return False
        if self._blind is None:
            self._blind = self.probe.ask(new_name()) in (Answer.READ, Answer.UNGUARDED)
            if self._blind:
                log.warning(
                    "The MQTT listener at %s checks no passwords, so this server can't tell whether"
                    " Mosquitto has read its files: let ROLLCALL_MQTT_URL lead to one that does.",
                    self._place,
                )
        return answer is Answer.READ or self._blind

    def _signal_and_ask(self, process: MosquittoProcess | None, name: str) -> Answer:
        """It obeys the signal before it answers whoever connects after it."""
        if process is None:
            return self.probe.ask(name)
        before = process.cpu_seconds()
        process.reload()
        answer = self.probe.ask(name)
        self.seconds = max(0.0, process.cpu_seconds() - before)
        log.debug("Mosquitto (process %s), signalled, has %s %s.", process.pid, answer.name, name)
        return answer

    @property
    def _place(self) -> str:
        return f"{self.probe.address.host}:{self.probe.address.port}"

    def _complaint(self, process: MosquittoProcess | None, answer: Answer) -> str:
        who = f"Mosquitto (process {process.pid})" if process else f"The broker at {self._place}"
        if self.probe.cancelled.is_set():
            return f"{who} was not waited for: this server stops."
        if answer is Answer.UNREACHABLE:
            return f"{who} does not answer at {self._place}: is that where ROLLCALL_MQTT_URL leads?"
        if answer is Answer.UNGUARDED:
            return f"{who} lets every client do everything: its log says why it has no rights."
        if process is None:
            return f"{who} has not read its files, and {self._pid_file} names no Mosquitto."
        return f"{who} has not read its files: does its configuration name them?"
