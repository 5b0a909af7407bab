"""Markers of a master: what a student does not get stands between two of them, in nbgrader's words.

    ### BEGIN SOLUTION         ### BEGIN HIDDEN TESTS
    ### END SOLUTION           ### END HIDDEN TESTS

In a cell of text they follow the `# ` that py:percent puts before each of its lines. A marker that is misspelt would
hand out what it should hide, so that everything that looks like a marker and is none is an error.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from dml_teach.errors import DataError

SOLUTION, HIDDEN_TESTS = "SOLUTION", "HIDDEN TESTS"
MARKER = re.compile(r"^(\s*(?:# )?)### (BEGIN|END) (SOLUTION|HIDDEN TESTS)\s*$")
LOOKS_LIKE_ONE = re.compile(r"#.*\b(?:BEGIN|END)\W*(?:SOLUTION|HIDDEN|TESTS?\b)", re.IGNORECASE)
CELL = re.compile(r"^# %%(?: |$)")


@dataclass(frozen=True)
class Region:
    """Lines between two markers: `kind`, the numbers from 1 of the two lines with the markers, and what precedes them.

    `margin` is the indentation, with the `# ` of a line of text.
    """

    kind: str
    first: int
    last: int
    margin: str


def regions(text: str, name: str) -> list[Region]:
    """The regions of a master in the order of its lines.

    Raises `DataError` with `name` and the line where a marker is nested, unbalanced or misspelt, where a region holds
    nothing, or where it reaches beyond its cell.
    """
    found: list[Region] = []
    opened: Region | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        here = f"{name}:{number}"
        marker = MARKER.match(line)
        if marker is None:
            if LOOKS_LIKE_ONE.search(line):
                raise DataError(f"{here}: '{line.strip()}' is no marker; write '### BEGIN SOLUTION' or its like")
            if opened and CELL.match(line):
                raise DataError(f"{here}: the cell ends inside the {_told(opened)}; end it in its own cell")
            continue
        margin, word, kind = marker.groups()
        if word == "BEGIN":
            if opened:
                raise DataError(f"{here}: BEGIN {kind} inside the {_told(opened)}; regions are not nested")
            opened = Region(kind, number, number, margin)
            continue
        if opened is None or opened.kind != kind:
            inside = f"inside the {_told(opened)}" if opened else "without its BEGIN"
            raise DataError(f"{here}: END {kind} {inside}; each END closes the BEGIN of its own kind")
        if number == opened.first + 1:
            raise DataError(f"{here}: nothing between BEGIN and END {kind}; remove the two or fill them")
        found.append(Region(kind, opened.first, number, opened.margin))
        opened = None
    if opened:
        raise DataError(f"{name}:{opened.first}: BEGIN {opened.kind} is never closed; add '### END {opened.kind}'")
    return found


def hidden_lines(text: str, name: str) -> Iterator[tuple[int, str, str]]:
    """Number, kind of region and content of every line that stands between markers."""
    lines = text.splitlines()
    for region in regions(text, name):
        for number in range(region.first + 1, region.last):
            yield number, region.kind, lines[number - 1]


def without(text: str, name: str, instead: dict[str, str | None]) -> str:
    """The text with other content for each kind of region named: a line in its place, at its margin; none for None."""
    lines = text.splitlines()
    kept: list[str] = []
    done = 0
    for region in regions(text, name):
        if region.kind in instead:
            line = instead[region.kind]
            kept += lines[done : region.first - 1] + ([] if line is None else [region.margin + line])
            done = region.last
    return "\n".join(kept + lines[done:]) + "\n"


def bare(text: str) -> str:
    """The text without its markers, what stands between them left in place."""
    return "".join(line for line in text.splitlines(keepends=True) if not MARKER.match(line.rstrip("\n")))


def _told(region: Region) -> str:
    return f"{region.kind} of line {region.first}"
