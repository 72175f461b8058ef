"""Install the packages of a lock file and Rollcall into .venv.

`python3 scripts/install.py requirements.lock`
"""

import re
import subprocess
import sys
import time
import venv
from importlib.util import find_spec
from pathlib import Path

VENV = Path(".venv")
PYTHON = VENV / "bin" / "python"
LOG = VENV / "install.log"
TERMINAL = sys.stdout.isatty()
# Seconds. In a terminal each line replaces the last one; a log file gets fewer lines.
SHOW_EVERY = 0.2 if TERMINAL else 5
ERROR_LINES = 20


class Progress:
    """The progress of pip, from its log and from the packages in the environment."""

    def __init__(self, lock: Path) -> None:
        pinned = [line for line in lock.read_text().splitlines() if re.match(r"\S+==", line)]
        self.total = sum("== 'win32'" not in line for line in pinned)
        self.before = _present()
        self.shown = ""

    def state(self) -> str:
        text = LOG.read_text(errors="replace")
        last = text.splitlines()[-1] if text else ""
        if last.startswith("WARNING: Retrying"):
            return "the package index does not respond; retrying"
        if installing := re.search(r"^Installing collected packages: (.+)", text, re.MULTILINE):
            number = len(installing[1].split(","))
            return f"unpacked {min(_present() - self.before, number)} of {number}"
        pattern = r"^(?:Collecting|Requirement already satisfied:) (\S+)"
        found = re.findall(pattern, text, re.MULTILINE)
        return f"found {len(found)} of {self.total}: {found[-1]}" if found else "starting pip"

    def show(self) -> None:
        state = self.state()
        if state != self.shown:
            self.shown = state
            line = f"\r  {state:<70}" if TERMINAL else f"  {state}\n"
            print(line, end="", flush=True)


def main(lock: Path) -> None:
    started = time.monotonic()
    print(f"Installing the packages of {lock} into {VENV}", flush=True)
    venv.create(VENV, symlinks=True, with_pip=find_spec("pip") is None)
    progress = Progress(lock)
    pip(progress, "--progress-bar=off", "--require-hashes", "-r", str(lock))
    pip(progress, "--no-build-isolation", "--editable", ".")
    print("\n" if TERMINAL else "", end="")
    print(f"Installed in {time.monotonic() - started:.0f} s", flush=True)


def pip(progress: Progress, *arguments: str) -> None:
    """Run `pip install`. Exits with the end of its output if it fails."""
    current = [sys.executable, "-m", "pip", "--python", str(PYTHON)]
    command = current if find_spec("pip") else [str(PYTHON), "-m", "pip"]
    options = ["--disable-pip-version-check", "--no-input", "install", "--no-deps"]
    with LOG.open("w") as log:
        process = subprocess.Popen(  # noqa: S603  fixed arguments
            [*command, *options, *arguments], stdout=log, stderr=subprocess.STDOUT
        )
    while process.poll() is None:
        progress.show()
        time.sleep(SHOW_EVERY)
    if process.returncode:
        end = LOG.read_text(errors="replace").splitlines()[-ERROR_LINES:]
        sys.exit("\n".join(["", *end, f"pip failed. Its full output is in {LOG}."]))


def _present() -> int:
    return sum(1 for _ in VENV.glob("lib/python*/site-packages/*.dist-info"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
