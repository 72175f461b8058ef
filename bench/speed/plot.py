"""Draws docs/performance.svg from docs/performance.json: requests per second of all subjects."""

import json
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent.parent.parent / "docs"
CONNECTIONS = "64"
TITLES = {
    "boot": "Boot: token, topics and config of one device",
    "list": "List of 50 devices",
    "register": "Register a new device, durably",
    "change": "Change a config, durably",
}
LEFT, WIDTH, BAR, GAP, TITLE = 130, 440, 18, 6, 34
ROLLCALL, OTHERS = "#0b6e4f", "#9aa5b1"
STYLE = "text{font:13px system-ui,sans-serif;fill:#444}.t{font-weight:600;fill:#222}"


def draw(results: dict[str, Any]) -> str:
    parts, y = [], 0
    for operation, subjects in results.items():
        rates = {name: figures[CONNECTIONS]["rate"] for name, figures in subjects.items()}
        parts.append(f'<text class="t" x="0" y="{y + 22}">{TITLES[operation]}</text>')
        y += TITLE
        for name, rate in rates.items():
            width = max(1, round(WIDTH * rate / max(rates.values())))
            color = ROLLCALL if name.startswith("Rollcall") else OTHERS
            middle = y + BAR - 4
            parts += [
                f'<text x="{LEFT - 8}" y="{middle}" text-anchor="end">{name}</text>',
                f'<rect x="{LEFT}" y="{y}" width="{width}" height="{BAR}" fill="{color}"/>',
                f'<text x="{LEFT + width + 6}" y="{middle}">{rate:,.0f}</text>',
            ]
            y += BAR + GAP
    size = f'width="{LEFT + WIDTH + 70}" height="{y + 6}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
    background = '<rect width="100%" height="100%" fill="#fff"/>'
    return "\n".join([head, f"<style>{STYLE}</style>", background, *parts, "</svg>\n"])


if __name__ == "__main__":
    figures = json.loads((DOCS / "performance.json").read_text())
    (DOCS / "performance.svg").write_text(draw(figures["comparison"]["results"]))
