"""What the paper and others published, one number a line of `published.csv`:

    tier        paper or others; a number of ours is never written down, it is read from a recording
    table       in which it stands: pairs (the paper's Table 2), distillation (Table 4), market-cohorts (Figure 2), ...
    data, metric, networks, setting         what was measured on what
    of          "net 1", "net 2", "mean" over the networks, or "ensemble"
    value, spread        as published; the spread is one standard deviation over seeds, empty where there is none
    kind        printed, digitised from a figure, or secondary (quoted by others, the original not at hand)
    note, source         how it came about, and where it was read

A line that breaks these rules is refused.
"""

import csv
from pathlib import Path
from typing import NamedTuple

from dml_teach.errors import DataError

FILE = Path(__file__).with_name("published.csv")
TIERS = ("paper", "others", "ours")
KINDS = ("printed", "digitised", "secondary")
OF = ("net 1", "net 2", "mean", "ensemble")
PLUS_MINUS = "\u00a0±\u00a0"  # no line is broken inside a number


class Number(NamedTuple):
    """One line of `published.csv`, or one number of ours in the same form; values are as they are to be shown."""

    tier: str
    table: str
    data: str
    metric: str
    networks: str
    setting: str
    of: str
    value: str
    spread: str
    kind: str
    note: str
    source: str

    @property
    def text(self) -> str:
        """The number as the page shows it."""
        about = "≈\u00a0" if self.kind == "digitised" else ""
        return f"{about}{self.value}" + (f"{PLUS_MINUS}{self.spread}" if self.spread else "")


def read(path: Path = FILE) -> list[Number]:
    """What others published, in the order of the file.

    Raises:
        DataError: a line has a field missing, a value that is no number, or a tier, kind or network that is not known.
    """
    with path.open(encoding="utf-8", newline="") as stream:
        lines = list(csv.DictReader(stream))
    for place, line in enumerate(lines, start=2):
        if set(line) != set(Number._fields) or None in line.values():
            raise DataError(f"{path.name}, line {place}: the fields must be {', '.join(Number._fields)}")
        allowed = {"tier": TIERS[:2], "kind": KINDS, "of": OF}
        for field, values in allowed.items():
            if line[field] not in values:
                raise DataError(
                    f"{path.name}, line {place}: {field} '{line[field]}' must be one of {', '.join(values)}"
                )
        for field in ("value", "spread"):
            try:
                float(line[field] or 0)
            except ValueError as error:
                raise DataError(f"{path.name}, line {place}: {field} '{line[field]}' is no number") from error
        if not line["source"]:
            raise DataError(f"{path.name}, line {place}: a number needs its source")
    return [Number(**line) for line in lines]
