"""Run benchmarks and keep the ratios that they print; the README's table of speeds is made from what is kept.

    python tools/speeds.py [SCRIPT ...] [--rounds N] [--steps N]
    python tools/speeds.py --show

Each script of benchmarks/ that is named (all that the table needs, if none is) replaces what was kept of it in
book/recordings/speeds/cpu.json, with its command, commit, versions, hardware, and the load of the machine beside it.
--show prints the table of what is kept; the README holds it word for word.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from dml_teach import provenance
from dml_teach.files import write_atomic

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "book" / "recordings" / "speeds" / "cpu.json"
RATIO = re.compile(r"^(.+): ([\d.]+) x \(([\d.]+) to ([\d.]+)\)", re.MULTILINE)
Row = tuple[str, str, tuple[str, ...]]  # what a reader reads, script, names of its lines

ROWS: tuple[Row, ...] = (
    ("our independent step / a bare PyTorch loop", "mutual_step", ("independent step / bare loop",)),
    (
        "mutual step / independent steps, K = 2; K = 4",
        "mutual_step",
        ("mutual / independent, K = 2", "mutual / independent, K = 4"),
    ),
    (
        "sequential / independent, K = 2; K = 4",
        "mutual_step",
        ("sequential / independent, K = 2", "sequential / independent, K = 4"),
    ),
    ("a thread per peer / one thread, K = 2", "mutual_step", ("thread per peer / one thread, K = 2",)),
    (
        "the loop of public code (fp32, pairwise, `.item()` in every step) / ours, K = 2; K = 4",
        "public_loops",
        ("plain loop / ours, K = 2", "plain loop / ours, K = 4"),
    ),
    ("the same with half precision / ours, K = 2", "public_loops", ("autocast loop / ours, K = 2",)),
    (
        "torchvision's DataLoader, no workers / our batches, the same augmentation",
        "batches",
        ("torchvision's DataLoader over PIL images / batches",),
    ),
    (
        "two ranks that exchange posteriors / one peer alone on one core",
        "ranks",
        ("two ranks with exchange / one peer alone",),
    ),
    ("the same / two ranks that do not exchange", "ranks", ("with exchange / without",)),
)
SCRIPTS = tuple(dict.fromkeys(script for _, script, _ in ROWS))


def ratios(printed: str) -> dict[str, list[float]]:
    """Median, smallest and largest of each line that a benchmark printed."""
    return {name: [float(number) for number in numbers] for name, *numbers in RATIO.findall(printed)}


def measure(script: str, options: Sequence[str]) -> dict[str, Any]:
    """Run a script and return what is kept of it.

    Raises:
        CalledProcessError: it failed.
    """
    shown = ["FOLDER" if Path(option).is_absolute() else option for option in options]
    where = provenance.collect(torch.device("cpu")) | {
        "command": " ".join(["OMP_NUM_THREADS=1 python", f"benchmarks/{script}.py", *shown]),
        "load": round(os.getloadavg()[0], 1),
    }
    command = [sys.executable, str(ROOT / "benchmarks" / f"{script}.py"), *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
    print(printed, end="", flush=True)
    return {"provenance": where, "ratios": ratios(printed)}


def table(kept: Mapping[str, Any]) -> str:
    """The README's table as markdown: the median of each line, with its smallest and largest in brackets.

    Raises:
        KeyError: a line is not kept.
    """
    lines = [("ResNet-32, batches of 64, bf16", "ratio"), ("---", "--:")]
    for shown, script, names in ROWS:
        lines.append((shown, "; ".join(_ratio(*kept[script]["ratios"][name]) for name in names)))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _ratio(median: float, low: float, high: float) -> str:
    digits = 2 if median < 10 else 0
    return f"{median:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def main(arguments: list[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scripts", nargs="*", metavar="SCRIPT", help=f"of {', '.join(SCRIPTS)} (default: all)")
    parser.add_argument("--rounds", type=int, help="paired rounds (default: the script's)")
    parser.add_argument("--steps", type=int, help="steps of each in a round (default: the script's)")
    parser.add_argument("--show", action="store_true", help="run nothing, print the table")
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.scripts) - set(SCRIPTS):
        parser.error(f"no script is called {', '.join(sorted(unknown))}; there are {', '.join(SCRIPTS)}")
    kept = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}
    if chosen.show:
        print(table(kept))
        return 0
    given = {"--rounds": chosen.rounds, "--steps": chosen.steps}
    options = [text for name, value in given.items() if value for text in (name, str(value))]
    for script in chosen.scripts or SCRIPTS:
        kept[script] = measure(script, options)
        KEPT.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(KEPT, (json.dumps(kept, indent=1) + "\n").encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
