"""Rollcall and others on the same database: `make bench`, and `make bench-quick` for every day.

All have the same schema, as far as it is measured, and do the same work: a token is looked up for
each request, a registration inserts a device, its token and its event durably, a change of a config
the version that it replaces and its event. They run one after the other, in several rounds: a
machine is not the same from one minute to the next, and figures are medians.
"""

import argparse
import asyncio
from collections import defaultdict
from collections.abc import Sequence
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

Results = dict[str, dict[str, dict[int, Figures]]]
"""By operation, subject and connections."""


async def turn(
    url: str, load: Load, subject: Subject, operation: str, connections: Sequence[int]
) -> dict[tuple[str, int], Figures]:
    """By name and connections, in each way to ask it."""
    found: dict[tuple[str, int], Figures] = {}
    several = len(subject.dialects) > 1
    for dialect in subject.dialects if operation in subject.operations else ():
        if several and dialect == "trusted" and operation in NOT_TRUSTED:
            continue
        name = f"{subject.name}, {dialect}" if several else subject.name
        await settled(url)
        load(subject, operation, dialect, WARM_CONNECTIONS)
        found |= {(name, n): load(subject, operation, dialect, n) for n in connections}
    return found


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
        for operation in OPERATIONS:
            found: dict[tuple[str, int], list[Figures]] = defaultdict(list)
            for _ in range(chosen.rounds):
                for start in ALL if chosen.all else QUICK:
                    with start(url, folder) as subject:
                        told = await turn(url, load, subject, operation, chosen.connections)
                    for key, figures in told.items():
                        found[key].append(figures)
                if chosen.all and operation in floor.OPERATIONS:
                    await settled(url)
                    for count in chosen.connections:
                        found[floor.NAME, count].append(least(operation, count))
            results[operation] = {}
            for (name, count), rounds in found.items():
                results[operation].setdefault(name, {})[count] = typical(rounds)
    about = f"{chosen.devices:,} devices, {chosen.rounds} x {chosen.seconds} s each; {machine()}"
    print(about, table(results), sep="\n")
    keep(chosen.json, "comparison", about, results)


if __name__ == "__main__":
    asyncio.run(main())
