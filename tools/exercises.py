"""The students' exercises: `python tools/exercises.py build|check [MASTERS]`, by default every master.

`solutions/sol_NN_name.py` is the source of an exercise; what is in `exercises/` is made from it, never edited by hand.

build   writes `exercises/ex_NN_name.py` and `.ipynb`, and runs each master to draw its pictures. A picture that shows
        the same as before is left as it is.
check   writes nothing. Exercises must equal a fresh build byte for byte; pictures, which depend on fonts and on the
        processor, must show the same. It prints one line per fault and exits with 1 if there is one.

Without `solutions/`, which may be kept elsewhere, there is nothing to build and nothing to check.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from dml_teach.classroom import masters, pictures, students
from dml_teach.errors import DmlTeachError

ROOT = Path(__file__).resolve().parents[1]


def build(files: dict[str, bytes], folder: Path) -> list[str]:
    """Write what differs; the names of the files written."""
    written = []
    for name, content in files.items():
        path = folder / name
        if not path.exists() or not students.same(name, path.read_bytes(), content):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            written.append(name)
    return written


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Command line; returns the exit status, 1 when a fault was found."""
    parser = argparse.ArgumentParser(description="Build or check the students' exercises.")
    parser.add_argument("command", choices=["build", "check"])
    parser.add_argument("masters", nargs="*", type=Path, metavar="MASTERS", help="sol_NN_name.py; default: all")
    parser.add_argument("--no-pictures", action="store_true", help="leave the pictures alone, so that nothing is run")
    options = parser.parse_args(arguments)
    folder = root / "exercises"
    os.environ.setdefault("DML_TEACH_PROGRESS", "off")
    try:
        found = masters.read_all(root / "solutions")
        if options.masters:
            chosen = {path.resolve() for path in options.masters}
            found = [master for master in found if master.path.resolve() in chosen]
        drawing = [] if options.no_pictures else [master for master in found if master.of("picture")]
        drawn = {n: b for given in pictures.perform_all(drawing).values() for n, b in given.pictures.items()}
    except DmlTeachError as error:
        print(error)
        return 1
    if not found:
        print("no masters (solutions/sol_NN_name.py) here; nothing to do")
        return 0
    files = students.everything(found, drawn)
    if options.command == "build":
        print(*(f"wrote {folder.name}/{name}" for name in build(files, folder)), sep="\n")
    whole = not options.masters and not options.no_pictures
    problems = list(students.faults(files, folder, strangers=whole))
    print(*problems or [f"{len(found)} exercise(s) equal their masters"], sep="\n")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
