"""`dml-teach classroom ...`: hand out, grade, verify. Needs the extra `classroom`."""

from pathlib import Path
from typing import Annotated

import typer

from dml_teach.errors import ConfigError

app = typer.Typer(help="For instructors: hand out the exercises, grade what comes back.", rich_markup_mode=None)

Course = Annotated[Path, typer.Option(help="The instructor's tree, which has solutions/.")]


@app.command()
def release(
    out: Annotated[Path, typer.Option(help="Folder to make; a zip file of the same name is made beside it.")],
    course: Course = Path(),
    replace: Annotated[bool, typer.Option("--replace", help="Put it in the place of an earlier release.")] = False,
) -> None:
    """Make the student bundle: exercises, book, the library, one line to install; refused if a solution shows."""
    from dml_teach.classroom.release import release as make

    folder, archive = make(course, out, replace=replace)
    typer.echo(f"Released {folder} and {archive}; no line of a solution is in them.")


@app.command()
def grade(
    submissions: Annotated[Path, typer.Argument(metavar="DIR", help="One folder for each student.")],
    out: Annotated[
        Path | None, typer.Option(help="An nbgrader course, made if it is not there. Default: DIR-graded.")
    ] = None,
    course: Course = Path(),
    seconds: Annotated[float, typer.Option(min=5, help="Time for each submission.")] = 120,
    memory: Annotated[int, typer.Option(min=512, help="MiB for each submission.")] = 4096,
    again: Annotated[bool, typer.Option("--again", help="Also what has not changed since it was graded.")] = False,
) -> None:
    """Grade what students handed in; write scores.csv and a page of feedback for each. Submissions run as you."""
    from dml_teach.classroom import masters

    _need_nbgrader()
    from dml_teach.classroom.grading import Verdict
    from dml_teach.classroom.grading import grade as mark
    from dml_teach.classroom.watching import Limits

    tree = masters.course_folder(course)
    out = out or submissions.with_name(submissions.resolve().name + "-graded")

    def tell(verdict: Verdict, fresh: bool) -> None:
        points = f"{verdict.score:g} of {sum(verdict.possible.values()):g}"
        unread = sum(given is None for given in verdict.questions.values())
        to_read = f", {unread} to be read" if unread else ""
        line = f"{verdict.student} {verdict.exercise}: {verdict.status}, {points}{to_read}"
        typer.echo(line + (f" ({verdict.reason})" if verdict.reason else "") + ("" if fresh else " [as before]"))

    mark(
        masters.read_all(tree / "solutions"),
        submissions,
        out,
        limits=Limits(seconds, memory * 2**20),
        again=again,
        recordings=tree / "book" / "recordings",
        tell=tell,
    )
    typer.echo(f"\nScores: {out / 'scores.csv'}\nFeedback: {out / 'feedback'}")


@app.command()
def verify(
    course: Course = Path(),
    site: Annotated[Path | None, typer.Option(help="The web book, if it is not where make book puts it.")] = None,
) -> None:
    """Check the tree: masters, exercises, full marks for the solutions, and that none of them shows anywhere."""
    _need_nbgrader()
    from dml_teach.classroom.verify import verify as check

    def tell(words: str, faults: list[str]) -> None:
        typer.echo(f"{'NOT SO' if faults else 'ok    '}  {words}")
        for fault in faults:
            typer.echo(f"        {fault}")

    if not check(course, site, tell):
        raise typer.Exit(1)


def _need_nbgrader() -> None:
    from importlib.util import find_spec

    if missing := [name for name in ("nbgrader", "psutil") if find_spec(name) is None]:
        raise ConfigError(f"{missing[0]} is not installed; python -m pip install 'dml_teach[classroom]'")
