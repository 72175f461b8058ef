"""What is shown: one line for each thing that happens, from whichever thread."""

import sys
import threading
import time
import unicodedata

WIDTH = 29
COLOURS = (36, 32, 33, 35, 34, 96, 92, 93, 95, 94)


class Screen:
    def __init__(self) -> None:
        self.quiet = False
        self._lock = threading.Lock()
        self._colours: dict[str, int] = {}
        self._colourful = sys.stdout.isatty()

    def say(self, who: str, what: str) -> None:
        if self.quiet:
            return
        with self._lock:
            name = who + " " * max(0, WIDTH - _columns(who))
            if self._colourful:
                colour = self._colours.setdefault(who, COLOURS[len(self._colours) % len(COLOURS)])
                name = f"\033[{colour}m{name}\033[0m"
            print(f"{time.strftime('%H:%M:%S')}  {name}  {what}", flush=True)

    def tell(self, text: str) -> None:
        """A paragraph of its own."""
        with self._lock:
            bold, plain = ("\033[1m", "\033[0m") if self._colourful else ("", "")
            print(f"\n{bold}{text}{plain}\n", flush=True)


def _columns(text: str) -> int:
    return sum(1 + (unicodedata.east_asian_width(c) in "WF") for c in text)
