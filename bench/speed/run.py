"""Compare Rollcall with others on the same database: `make bench`, and shorter `make bench-quick`.

All have the same schema, as far as it is measured, and do the same work. Each request looks up a
token. A registration inserts a device, its token and its event durably. A change of a config also
inserts the replaced version and an event. The subjects run one after the other in several rounds,
since the speed of a machine varies; figures are medians.
"""

import argparse
import asyncio
from collections import defaultdict
from collections.abc import Sequence
from hashlib import md5
from pathlib import Path

from bench.speed.database import filled, settled
from bench.speed.load import Figures, Load, Subject, typical
from bench.speed.results import machine, save
from bench.speed.subjects import floor
from bench.speed.subjects.floor import Pgbench
from bench.speed.subjects.servers import Start, bare, mercurius, rollcall, tutorial, yoga

QUICK: tuple[Start, ...] = (mercurius, rollcall)
ALL: tuple[Start, ...] = (tutorial, yoga, mercurius, bare, rollcall)
# Registrations come last, since they enlarge the database.
OPERATIONS = ("boot", "list", "change", "register")
# Devices whose config is changed.
CHANGED = 5_000
WARM_CONNECTIONS = 16
# Their trusted documents select more fields than the plain ones here.
NOT_TRUSTED = ("list", "change")

Results = dict[str, dict[str, dict[int, Figures]]]
"""By operation, subject and connections."""


async def measure(
    url: str, load: Load, subject: Subject, operation: str, connections: Sequence[int]
) -> dict[tuple[str, int], Figures]:
    """Figures by name and connections, in each dialect of the subject."""
    results: dict[tuple[str, int], Figures] = {}
    several = len(subject.dialects) > 1
    for dialect in subject.dialects if operation in subject.operations else ():
        if several and dialect == "trusted" and operation in NOT_TRUSTED:
            continue
        name = f"{subject.name}, {dialect}" if several else subject.name
        await settled(url)
        load(subject, operation, dialect, WARM_CONNECTIONS)
        results |= {(name, n): load(subject, operation, dialect, n) for n in connections}
    return results


def table(results: Results) -> str:
    """Tables in Markdown."""
    lines = []
    for operation, subjects in results.items():
        mercurius_figures = subjects.get("Mercurius", {})
        lines += [
            f"\n**{operation}**\n",
            "| | connections | per second | vs. Mercurius | p50, ms | p99, ms | MB |",
            "|---|---|---|---|---|---|---|",
        ]
        for name, by_connections in subjects.items():
            for count, f in by_connections.items():
                other = mercurius_figures.get(count)
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
    parser.add_argument(
        "--all", action="store_true", help="all subjects, not only Rollcall and Mercurius"
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    results: Results = {}
    async with filled(options.devices) as (url, folder):
        ids = folder / "ids"
        changed = range(1, min(CHANGED, options.devices))
        ids.write_text("\n".join(md5(str(n).encode()).hexdigest() for n in changed if n % 1000))  # noqa: S324
        load = Load(options.devices, options.seconds, ids)
        pgbench = Pgbench(url, folder, options.devices, options.seconds)
        for operation in OPERATIONS:
            found: dict[tuple[str, int], list[Figures]] = defaultdict(list)
            for _ in range(options.rounds):
                for start in ALL if options.all else QUICK:
                    with start(url, folder) as subject:
                        measured = await measure(url, load, subject, operation, options.connections)
                    for key, figures in measured.items():
                        found[key].append(figures)
                if options.all and operation in floor.OPERATIONS:
                    await settled(url)
                    for count in options.connections:
                        found[floor.NAME, count].append(pgbench(operation, count))
            results[operation] = {}
            for (name, count), rounds in found.items():
                results[operation].setdefault(name, {})[count] = typical(rounds)
    about = f"{options.devices:,} devices, {options.rounds} x {options.seconds} s each; {machine()}"
    print(about, table(results), sep="\n")
    save(options.json, "comparison", about, results)


if __name__ == "__main__":
    asyncio.run(main())
