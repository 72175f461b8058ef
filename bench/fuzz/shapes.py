"""Large, deep, wide and repetitive values, made from a seed."""

import random
from collections.abc import Callable
from typing import Any

# Characters or items. Small ones are frequent, so that a message can have many of them.
SIZES = (0, 1, 2, 20, 65, 201, 1_001, 5_000, 20_000, 100_000)
WEIGHTS = (8, 14, 10, 16, 18, 12, 8, 5, 2, 1)
TEXTS: dict[str, Callable[[int], str]] = {
    "letters": lambda n: "x" * n,
    # Each pair has to be reordered by Unicode normalization.
    "marks": lambda n: "a" + "\u0315\u0316" * (n // 2),
    "one mark": lambda n: "a" + "\u0301" * n,
    # One character becomes 18 by NFKC.
    "ligatures": lambda n: "\ufdfa" * (n // 3),
    "hangul": lambda n: "\u1100\u1161\u11a8" * (n // 3),
    "families": lambda n: "\U0001f469\u200d" * (n // 4),
    "invisible": lambda n: "\u200b\u2060" * (n // 2),
    "zeros": lambda n: "\0" * n,
    "surrogates": lambda n: "\ud800" * n,
    "digits": lambda n: "9" * n,
    "quotes": lambda n: '"\\' * (n // 2),
    "braces": lambda n: "{" * n,
    "brackets": lambda n: "[" * n,
    "levels": lambda n: "a/" * (n // 2),
    "wildcards": lambda n: "+/" * (n // 2) + "#",
    "commas": lambda n: "a," * (n // 2),
    "words": lambda n: "ab " * (n // 3),
    "spaces": lambda n: " " * n,
    "lines": lambda n: "\n" * n,
    "tags": lambda n: "<b>" * (n // 3),
    "percents": lambda n: "%" * n,
}


def size(choose: random.Random, largest: int = SIZES[-1]) -> int:
    return min(choose.choices(SIZES, WEIGHTS)[0], largest)


def text(choose: random.Random, largest: int = SIZES[-1]) -> str:
    made = TEXTS[choose.choice(list(TEXTS))](size(choose, largest))
    return choose.choice(["", "Acme", "24:6f:28:aa:bb:cc", "1", "rca_"]) + made


def value(choose: random.Random, largest: int = SIZES[-1]) -> Any:  # noqa: PLR0911
    """Return any JSON value."""
    count = size(choose, largest)
    match choose.randrange(9):
        case 0:
            return choose.choice([None, True, False, 0, -1, 2**31, 2**63, 1e308, -0.0, ""])
        case 1:
            return int("9" * min(count + 1, 4_000))
        case 2:
            return [choose.choice([None, 1, "x", [], {}])] * count
        case 3:
            return {f"k{number}": choose.choice([None, "x"]) for number in range(count)}
        case 4:
            return nested(choose.choice(["[", "{"]), min(count, 5_000))
        case 5:
            return [text(choose, largest // 50 + 1) for _ in range(min(count, 50))]
        case 6:
            return {text(choose, largest // 50 + 1): 1 for _ in range(min(count, 50))}
        case _:
            return text(choose, largest)


def nested(kind: str, depth: int) -> Any:
    inner: Any = 1
    for _ in range(min(depth, 300)):
        inner = [inner] if kind == "[" else {"a": inner}
    return inner
