"""Whether an instructor's tree is sound: what it hands out, what it keeps, and that its solutions get full marks."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat

from dml_teach.classroom import leaks, masters, pictures, release, students
from dml_teach.classroom.grading import grade
from dml_teach.classroom.masters import Master
from dml_teach.errors import DataError, DmlTeachError

SITE = Path("book/site/_build/html")


def verify(course: Path, site: Path | None = None, tell: Callable[[str, list[str]], None] = print) -> bool:
    """Check everything; whether all of it is sound.

    Args:
        course: the instructor's tree.
        site: the web book; by default where `make book` puts it, if it is there.
        tell: called with each thing checked and its faults, in words.

    Raises `ConfigError` if there are no masters, `DataError` if one is not well formed.
    """
    course = masters.course_folder(course)
    found = masters.read_all(course / "solutions")
    tell(f"{len(found)} masters are well formed", [])
    try:
        performed = pictures.perform_all(found)
    except DataError as error:
        tell("the masters run", [str(error)])
        return False
    tell("the masters run", [])
    printed = {name: given.printed for name, given in performed.items()}
    hidden = leaks.secrets(found, leaks.public(course), printed)
    sound = True
    for words, faults in (
        ("exercises/ equals what the masters make of it", lambda: unequal(course, found, performed)),
        ("the solutions get full marks", lambda: unsolved(found, course / "book" / "recordings")),
        ("no solution is in the release, the wheel or the sdist", lambda: leaked(course, found, hidden)),
        _of_the_site(site or course / SITE, hidden, asked=site is not None),
    ):
        faults_found = list(faults())
        tell(words, faults_found)
        sound = sound and not faults_found
    return sound


def unequal(course: Path, found: list[Master], performed: dict[str, pictures.Performance]) -> Iterator[str]:
    """Files of exercises/ that are missing, differ from a fresh build, or have no master."""
    drawn = {name: content for given in performed.values() for name, content in given.pictures.items()}
    yield from students.faults(students.everything(found, drawn), course / "exercises")


def unsolved(found: list[Master], recordings: Path) -> Iterator[str]:
    """Tasks whose own solution does not get all the points, graded as a student's would be."""
    with tempfile.TemporaryDirectory() as folder:
        for master in found:
            path = Path(folder, "submitted", "solution", f"{master.exercise}.ipynb")
            path.parent.mkdir(parents=True, exist_ok=True)
            nbformat.write(students.answered(master), path)
        for verdict in grade(found, Path(folder), Path(folder, "graded"), recordings=recordings):
            for task, points in verdict.tasks.items():
                if points != verdict.possible[task]:
                    why = f" ({verdict.reason})" if verdict.reason else ""
                    yield f"{verdict.exercise}: {task} got {points:g} of {verdict.possible[task]:g}{why}"
            if verdict.status == "graded" and verdict.reason:
                yield f"{verdict.exercise}: graded with a remark: {verdict.reason}"


def leaked(course: Path, found: list[Master], hidden: leaks.Secrets) -> Iterator[str]:
    """Secrets in what leaves the tree."""
    with tempfile.TemporaryDirectory() as folder:
        out, sdist = Path(folder, "release"), Path(folder, "sdist")
        try:
            release.fill(course, found, out)
            release.package(course, sdist, "sdist")
        except DmlTeachError as error:
            yield str(error)
            return
        yield from map(str, leaks.scan([out, sdist], hidden))


def _of_the_site(site: Path, hidden: leaks.Secrets, asked: bool) -> tuple[str, Callable[[], list[str]]]:
    """What to say of the web book, and how to check it; one that was not built is only missed if it was asked for."""
    if site.is_dir():
        return "no solution is in the web book", lambda: [str(leak) for leak in leaks.scan([site], hidden)]
    if asked:
        return "there is a web book", lambda: [f"{site}: no such folder; make book builds it"]
    return "the web book is not built here, so it was not searched; make book builds it", list
