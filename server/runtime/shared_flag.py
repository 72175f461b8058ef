"""A flag that a process shares with the processes that it forks."""

import mmap


class SharedFlag:
    """Initially not set."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 1)

    def set(self, value: bool) -> None:
        self._memory[0] = value

    def is_set(self) -> bool:
        return bool(self._memory[0])
