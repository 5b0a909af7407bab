"""What students get: exercises, book, the library as a wheel, a README with the one line that installs it.

Nothing is handed out before the leak test has passed over it; until then it lies in a hidden folder beside its place.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dml_teach.classroom import leaks, masters, pictures, students
from dml_teach.errors import ConfigError, DataError, LeakError

BOOK = ("*.ipynb", "*.py", "LICENSE", "figures/**/*", "recordings/**/*")
NOT_OF_THE_BOOK = ("conftest.py",)
README = """\
# Deep Mutual Learning: the course

Everything is in this folder; nothing else is downloaded but the packages that Python needs.

1. Install, in an environment of its own, with Python 3.11 or newer, from within this folder:

       python -m pip install "./{wheel}[course]"

2. Open it: `jupyter lab`, then `book/00_welcome.ipynb` to read, `exercises/` to work.

An exercise goes with the chapter of its number. Write where `NotImplementedError` stands, run the cell, run the check
below it, and read what it says. Hand in the `.ipynb` file. Links of the book into `dml_teach/` and `tests/` lead to the
project's source, which is not in this folder.

{exercises}

Code: MIT licence. Text and figures: CC BY 4.0, see `book/LICENSE`.
"""


def release(course: Path, out: Path, *, replace: bool = False) -> list[Path]:
    """Write the student bundle to `out` and, as one file, to `out`.zip. Returns both.

    Args:
        course: the instructor's tree.
        out: a new folder.
        replace: put it in the place of an earlier one.

    Raises `ConfigError` if `out` is there, `DataError` if a master is not sound, `LeakError` if the leak test fails;
    then nothing is written.
    """
    course, archive = masters.course_folder(course), out.with_name(out.name + ".zip")
    for path in (out, archive):
        if path.exists() and not replace:
            raise ConfigError(f"{path}: is there already; say --replace to put the new release in its place")
    if out.exists() and not (out / "exercises").is_dir():
        raise ConfigError(f"{out}: is no earlier release, so it is not replaced")
    found = masters.read_all(course / "solutions")
    out.parent.mkdir(parents=True, exist_ok=True)
    with _workshop(out) as folder:
        made = folder / out.name
        fill(course, found, made)
        if leaked := leaks.scan([made], secrets(course, found)):
            more = f" (and {len(leaked) - 1} more)" if len(leaked) > 1 else ""
            raise LeakError(f"{leaked[0]}{more}; nothing was released")
        packed = Path(shutil.make_archive(str(made), "zip", folder, out.name))
        for old in (out, archive):
            if old.exists():
                shutil.rmtree(old) if old.is_dir() else old.unlink()
        made.replace(out)
        packed.replace(archive)
    return [out, archive]


def secrets(course: Path, found: list[masters.Master]) -> leaks.Secrets:
    """What must be in nothing that leaves the tree; the masters are run, to know what they print."""
    printed = {name: performance.printed for name, performance in pictures.perform_all(found).items()}
    return leaks.secrets(found, leaks.public(course), printed)


@contextmanager
def _workshop(out: Path) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def fill(course: Path, found: list[masters.Master], out: Path) -> None:
    """Lay everything that students get into a new folder."""
    exercises = out / "exercises"
    exercises.mkdir(parents=True)
    (exercises / "jupytext.toml").write_text(students.SETTINGS, encoding="utf-8")
    for master in found:
        for name, content in students.files(master).items():
            (exercises / name).write_bytes(content)
        for name in pictures.names(master):
            source = course / "exercises" / "pictures" / name
            if not source.is_file():
                raise DataError(f"exercises/pictures/{name}: missing; run python tools/exercises.py build")
            (exercises / "pictures").mkdir(exist_ok=True)
            shutil.copyfile(source, exercises / "pictures" / name)
    for pattern in BOOK:
        for source in sorted((course / "book").glob(pattern)):
            if source.is_file() and source.name not in NOT_OF_THE_BOOK:
                target = out / source.relative_to(course)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
    built = package(course, out, "wheel")
    listed = "\n".join(f"- `exercises/{master.exercise}.ipynb`: {students.title(master)}" for master in found)
    (out / "README.md").write_text(README.format(wheel=built.name, exercises=listed), encoding="utf-8")


def package(course: Path, out: Path, kind: str) -> Path:
    """Build the library's wheel or sdist from the tree, without a network. Raises `DataError` if that fails."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(out.resolve())]
    done = subprocess.run(command, cwd=course, capture_output=True, text=True)
    built = sorted(path for pattern in ("*.whl", "*.tar.gz") for path in out.glob(pattern))
    if done.returncode or not built:
        last = (done.stderr.strip().splitlines() or [f"no {kind}"])[-1]
        raise DataError(f"{course.name}: the {kind} could not be built ({last}); install the extra 'classroom'")
    return built[0]
