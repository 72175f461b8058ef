"""What a boot and a registration cost with 1,000, 100,000 and a million devices."""

import argparse
import asyncio
import tempfile
from pathlib import Path

from bench.speed.load import Figures, Load
from bench.speed.results import keep
from bench.speed.run import machine, prepared, settled
from bench.speed.subjects import rollcall
from db.embedded import EmbeddedPostgres

SIZES = (1_000, 100_000, 1_000_000)
CONNECTIONS = (16, 64)
OPERATIONS = ("boot", "register")

Found = dict[str, dict[int, dict[int, Figures]]]
"""By operation, devices and connections."""


async def measured(devices: int, seconds: int, found: Found) -> None:
    with tempfile.TemporaryDirectory(prefix="rollcall-") as name:
        folder = Path(name)
        postgres = EmbeddedPostgres(folder)
        try:
            url = postgres.start()
            await prepared(url, devices)
            load = Load(devices, seconds, folder / "ids")
            for operation in OPERATIONS:
                await settled(url)
                with rollcall(url, folder) as subject:
                    load(subject, operation, "trusted", CONNECTIONS[-1])
                    found[operation][devices] = {
                        count: load(subject, operation, "trusted", count) for count in CONNECTIONS
                    }
        finally:
            postgres.stop()


def table(found: Found) -> str:
    """In Markdown; how much more one costs than with the fewest devices."""
    lines = [
        "\n| | devices | connections | a second | cost | p99, ms |",
        "|---|---|---|---|---|---|",
    ]
    for operation, by_devices in found.items():
        least = by_devices[min(by_devices)]
        lines += [
            f"| {operation} | {devices:,} | {count} | {f.rate:,.0f} "
            f"| {least[count].rate / f.rate:.2f} | {f.p99:.1f} |{f.wrong}"
            for devices, by_count in by_devices.items()
            for count, f in by_count.items()
        ]
    return "\n".join(lines)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, nargs="*", default=SIZES)
    parser.add_argument("--seconds", type=int, default=6)
    parser.add_argument("--json", type=Path, help="a file for the figures")
    chosen = parser.parse_args()
    found: Found = {operation: {} for operation in OPERATIONS}
    for devices in chosen.devices:
        await measured(devices, chosen.seconds, found)
    about = f"{chosen.seconds} s each; {machine()}"
    print(about, table(found), sep="\n")
    keep(chosen.json, "scale", about, found)


if __name__ == "__main__":
    asyncio.run(main())
