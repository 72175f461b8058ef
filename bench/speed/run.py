"""Rollcall and others on the same database: `make bench`, and `make bench-quick` for every day.

All have the same schema, as far as it is measured, and do the same work: a token is looked up for
each request, a registration inserts a device, its token and its event durably, a change of a config
the version that it replaces and its event. All run all the time, and are asked in turns.
"""

import argparse
import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from hashlib import md5
from pathlib import Path

from bench.speed import floor
from bench.speed.database import filled, settled
from bench.speed.floor import Floor
from bench.speed.load import Figures, Load, Subject, typical
from bench.speed.results import keep, machine
from bench.speed.subjects import Started, bare, mercurius, rollcall, tutorial, yoga

QUICK: tuple[Started, ...] = (mercurius, rollcall)
ALL: tuple[Started, ...] = (tutorial, yoga, mercurius, bare, rollcall)
# What fills the database comes last.
OPERATIONS = ("boot", "list", "change", "register")
CHANGED = 5_000
WARM_CONNECTIONS = 16
# People's operations, whose trusted documents ask for more.
NOT_TRUSTED = ("list", "change")

Measured = Callable[[], Figures]
Results = dict[str, dict[str, dict[int, Figures]]]
"""By operation, subject and connections."""


@dataclass(frozen=True)
class Entry:
    """A subject with one of the ways to ask it."""

    subject: Subject
    dialect: str

    @property
    def name(self) -> str:
        several = len(self.subject.dialects) > 1
        return f"{self.subject.name}, {self.dialect}" if several else self.subject.name


def entries(subjects: Iterable[Subject], operation: str) -> list[Entry]:
    return [
        Entry(subject, dialect)
        for subject in subjects
        if operation in subject.operations
        for dialect in subject.dialects
        if dialect == "plain" or len(subject.dialects) == 1 or operation not in NOT_TRUSTED
    ]


async def in_turns(url: str, measured: Mapping[str, Measured], rounds: int) -> dict[str, Figures]:
    """Medians. A machine is not the same from one minute to the next."""
    found: dict[str, list[Figures]] = {name: [] for name in measured}
    for _ in range(rounds):
        for name, measure in measured.items():
            await settled(url)
            found[name].append(measure())
    return {name: typical(figures) for name, figures in found.items()}


def table(results: Results) -> str:
    """In Markdown."""
    lines = []
    for operation, subjects in results.items():
        theirs = subjects.get("Mercurius", {})
        lines += [
            f"\n**{operation}**\n",
            "| | connections | a second | of Mercurius | p50, ms | p99, ms | MB |",
            "|---|---|---|---|---|---|---|",
        ]
        for name, by_connections in subjects.items():
            for count, f in by_connections.items():
                other = theirs.get(count)
                ratio = f"{f.rate / other.rate:.2f}" if other else ""
                lines.append(
                    f"| {name} | {count} | {f.rate:,.0f} | {ratio} | {f.p50:.1f} | {f.p99:.1f} "
                    f"| {f.megabytes:.0f} |{f' {f.wrong}' if f.wrong else ''}"
                )
    return "\n".join(lines)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=100_000)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--connections", type=int, nargs="*", default=[16, 64])
    parser.add_argument("--all", action="store_true", help="not Mercurius alone")
    parser.add_argument("--json", type=Path, help="a file for the figures")
    chosen = parser.parse_args()
    results: Results = {}
    async with filled(chosen.devices) as (url, folder):
        ids = folder / "ids"
        changed = range(1, min(CHANGED, chosen.devices))
        ids.write_text("\n".join(md5(str(n).encode()).hexdigest() for n in changed if n % 1000))  # noqa: S324
        load = Load(chosen.devices, chosen.seconds, ids)
        least = Floor(url, folder, chosen.devices, chosen.seconds)
        with ExitStack() as stack:
            starts = ALL if chosen.all else QUICK
            subjects = [stack.enter_context(start(url, folder)) for start in starts]
            for operation in OPERATIONS:
                asked = entries(subjects, operation)
                for each in asked:
                    load(each.subject, operation, each.dialect, WARM_CONNECTIONS)
                results[operation] = {each.name: {} for each in asked}
                for count in chosen.connections:
                    measured: dict[str, Measured] = {
                        each.name: partial(load, each.subject, operation, each.dialect, count)
                        for each in asked
                    }
                    if operation in floor.OPERATIONS and chosen.all:
                        measured[floor.NAME] = partial(least, operation, count)
                    for name, figures in (await in_turns(url, measured, chosen.rounds)).items():
                        results[operation].setdefault(name, {})[count] = figures
    about = f"{chosen.devices:,} devices, {chosen.rounds} x {chosen.seconds} s each; {machine()}"
    print(about, table(results), sep="\n")
    keep(chosen.json, "comparison", about, results)


if __name__ == "__main__":
    asyncio.run(main())
