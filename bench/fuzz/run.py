"""Sends messages made from a seed, and checks what each costs."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import psutil

from bench.fuzz.http import request
from bench.fuzz.message import Answer, Message, Target, send
from bench.fuzz.metered_server import Meter
from bench.fuzz.mqtt import packets
from bench.fuzz.websocket import frames
from bench.serving import Serving

# The budget of one message: processor time that the event loop is occupied at a time, and bytes.
MILLISECONDS = 50.0
ANSWER_BYTES = 262_144
# How much the memory may grow after the first part, which fills caches, pools and buffers.
GROWTH_MEGABYTES = 40.0
WORKERS = 8
BATCH = 48
PARTS = 8
# A message over its budget is sent again, alone, and counts by the best of these attempts.
ATTEMPTS = 3
PATIENT_SECONDS, IMPATIENT_SECONDS = 3.0, 0.3


@dataclass
class Findings:
    """`excesses`: one line for each message over its budget. `slowest`: by kind, milliseconds."""

    answers: Counter[str] = field(default_factory=Counter)
    excesses: list[str] = field(default_factory=list)
    slowest: dict[str, float] = field(default_factory=dict)
    longest: float = 0.0
    megabytes: list[float] = field(default_factory=list)


class Run:
    def __init__(self, server: Serving, meter: Meter, target: Target, seed: int) -> None:
        self.server, self.meter, self.target, self.seed = server, meter, target, seed
        self.findings = Findings()

    def message(self, number: int) -> Message:
        choose = random.Random(self.seed * 1_000_003 + number)
        return choose.choices([request, frames, packets], [60, 22, 18])[0](choose, self.target)

    async def send_all(self, count: int, log: Callable[[str], None]) -> Findings:
        process, started = psutil.Process(self.server.pid), time.monotonic()
        self.meter.take()
        for part in range(PARTS):
            first, last = count * part // PARTS, count * (part + 1) // PARTS
            for at in range(first, last, BATCH):
                await self._send_batch(range(at, min(at + BATCH, last)))
            self.findings.megabytes.append(process.memory_info().rss / 2**20)
            rate = last / (time.monotonic() - started)
            log(
                f"{last} sent, {rate:.0f}/s, {self.findings.megabytes[-1]:.0f} MB, "
                f"longest {self.findings.longest:.0f} ms, "
                f"{len(self.findings.excesses)} over budget"
            )
        return self.findings

    async def _send_batch(self, numbers: Sequence[int]) -> None:
        waiting = iter(numbers)
        await asyncio.gather(*(self._work(waiting) for _ in range(WORKERS)))
        longest = self.meter.take()
        self.findings.longest = max(longest, self.findings.longest)
        if longest > MILLISECONDS:
            for number in numbers:
                await self._measure(number)

    async def _work(self, numbers: Iterator[int]) -> None:
        for number in numbers:
            message = self.message(number)
            answer = await self._send(message)
            self.findings.answers[f"{message.entrance} {answer.status}"] += 1
            if answer.internal:
                self._excess(number, message, f"INTERNAL {answer.internal[:300]}")
            if answer.received > ANSWER_BYTES * max(message.count, 1) and not message.large_answer:
                self._excess(number, message, f"an answer of {answer.received} bytes")

    async def _measure(self, number: int) -> None:
        best = float("inf")
        message = self.message(number)
        for _ in range(ATTEMPTS):
            self.meter.take()
            await self._send(message)
            best = min(best, self.meter.take())
            if best <= MILLISECONDS:
                break
        kind = f"{message.entrance}: {message.name}"
        self.findings.slowest[kind] = max(best, self.findings.slowest.get(kind, 0))
        if best > MILLISECONDS:
            self._excess(number, message, f"{best:.0f} ms")

    async def _send(self, message: Message) -> Answer:
        seconds = PATIENT_SECONDS if message.patient else IMPATIENT_SECONDS
        return await send(message, self.target.host, seconds)

    def _excess(self, number: int, message: Message, what: str) -> None:
        shown = b"".join(message.parts)[:600]
        self.findings.excesses.append(
            f"{number}: {message.entrance} {message.name}, {message.size} bytes: {what}; {shown!r}"
        )
