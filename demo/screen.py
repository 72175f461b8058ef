"""The demo's output: one line for each message. May be called from any thread."""

import sys
import threading
import time
import unicodedata

# Of the names, in columns.
WIDTH = 29
# ANSI codes.
COLOURS = (36, 32, 33, 35, 34, 96, 92, 93, 95, 94)


class Screen:
    def __init__(self) -> None:
        self.quiet = False
        self._lock = threading.Lock()
        self._colours: dict[str, int] = {}
        self._colourful = sys.stdout.isatty()

    def log(self, source: str, message: str) -> None:
        if self.quiet:
            return
        with self._lock:
            name = source + " " * max(0, WIDTH - _columns(source))
            if self._colourful:
                next_colour = COLOURS[len(self._colours) % len(COLOURS)]
                colour = self._colours.setdefault(source, next_colour)
                name = f"\033[{colour}m{name}\033[0m"
            print(f"{time.strftime('%H:%M:%S')}  {name}  {message}", flush=True)

    def announce(self, text: str) -> None:
        """Print a separate paragraph."""
        with self._lock:
            bold, plain = ("\033[1m", "\033[0m") if self._colourful else ("", "")
            print(f"\n{bold}{text}{plain}\n", flush=True)


def _columns(text: str) -> int:
    """Columns of a terminal; wide characters take two."""
    return sum(1 + (unicodedata.east_asian_width(c) in "WF") for c in text)
