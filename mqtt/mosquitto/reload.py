"""Makes a running Mosquitto reload its files, and checks that it did."""

import logging
import time
from pathlib import Path

from mqtt.mosquitto.probe import Answer, Probe, new_name
from mqtt.mosquitto.process import MosquittoProcess

log = logging.getLogger("rollcall.mqtt")

# Between signals without effect: Mosquitto 2.0 loses signals during a reload.
PAUSES_SECONDS = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0)
# Until a running Mosquitto responds: at its start it may read a large database.
START_SECONDS = 120.0
LOOK_SECONDS = 0.05


class Reload:
    """`seconds`: Mosquitto's CPU time for the last reload. It serves no clients during it."""

    def __init__(self, pid_file: Path, probe: Probe) -> None:
        self.seconds = 0.0
        self._cpu_before = 0.0
        self.probe = probe
        self._pid_file = pid_file
        self._confirmed: str | None = None
        self._passwords_unchecked: bool | None = None

    def until_read(self, name: str, *, changed: bool) -> None:
        """Block until Mosquitto has read the files of this generation, and serves its clients.

        `changed`: this generation was written just now, so Mosquitto can't have read it yet.
        Returns at once if no Mosquitto runs: it reads the files at its start.
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
        """Return UNREACHABLE if no Mosquitto runs.

        It may have read the former files at its start, so only READ counts before a signal.
        """
        pauses, deadline = iter(PAUSES_SECONDS), time.monotonic() + START_SECONDS
        signalled = False
        while True:
            process = MosquittoProcess.from_pid_file(self._pid_file)
            if answer is Answer.UNREACHABLE:
                if process is None:
                    return answer
                pause = LOOK_SECONDS if time.monotonic() < deadline else None
                answer = self.probe.ask(name)
            else:
                pause = next(pauses, None)
                signalled = self._signal(process) or signalled
                answer = self._ask_after_signal(process, name)
            if self._proves(answer) and (signalled or answer is Answer.READ):
                return answer
            if pause is None or self.probe.cancelled.wait(pause):
                raise TimeoutError(self._timeout_message(process, answer))

    def _proves(self, answer: Answer) -> bool:
        """Whether it has read the files. Always True for a listener that checks no passwords."""
        if answer in (Answer.UNREAD, Answer.UNREACHABLE):
            return False
        if self._passwords_unchecked is None:
            self._passwords_unchecked = self.probe.ask(new_name()) in (
                Answer.READ,
                Answer.UNGUARDED,
            )
            if self._passwords_unchecked:
                log.warning(
                    "The MQTT listener at %s checks no passwords, so it is unknown whether"
                    " Mosquitto has read its files. Set ROLLCALL_MQTT_URL to a listener that checks"
                    " them.",
                    self._listener,
                )
        return answer is Answer.READ or self._passwords_unchecked

    def _signal(self, process: MosquittoProcess | None) -> bool:
        """Return whether a signal was sent, or no process can be signalled."""
        if process is None:
            return True
        self._cpu_before = process.cpu_seconds()
        return process.reload()

    def _ask_after_signal(self, process: MosquittoProcess | None, name: str) -> Answer:
        """Mosquitto handles the signal before it responds to a later connection."""
        answer = self.probe.ask(name)
        if process is not None:
            self.seconds = max(0.0, process.cpu_seconds() - self._cpu_before)
            log.debug(
                "Signalled Mosquitto (process %s): files %s are %s.",
                process.pid,
                name,
                answer.name,
            )
        return answer

    @property
    def _listener(self) -> str:
        return f"{self.probe.address.host}:{self.probe.address.port}"

    def _timeout_message(self, process: MosquittoProcess | None, answer: Answer) -> str:
        broker = (
            f"Mosquitto (process {process.pid})" if process else f"The broker at {self._listener}"
        )
        if self.probe.cancelled.is_set():
            return f"{broker} has not confirmed its files before this server stopped."
        if answer is Answer.UNREACHABLE:
            return f"{broker} does not answer at {self._listener}. Check ROLLCALL_MQTT_URL."
        if answer is Answer.UNGUARDED:
            return f"{broker} lets every client do everything. Look for the reason in its log."
        if process is None:
            return f"{broker} has not read its files, and {self._pid_file} names no Mosquitto."
        return f"{broker} has not read its files. Check that its configuration names them."
