"""Grading a folder of submissions: `gradebook` with nbgrader does it, one after the other, none stopping the rest."""

import csv
import hashlib
import io
import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from dml_teach.classroom import students, submissions
from dml_teach.classroom.gradebook import Course, Job
from dml_teach.classroom.masters import Master
from dml_teach.classroom.submissions import Submission
from dml_teach.classroom.watching import Limits
from dml_teach.errors import ConfigError, DataError
from dml_teach.files import write_atomic, write_json

STATE = "graded.json"
TO_READ = "to be read"
REMARKS = 4
"""How many remarks a reason has: whoever spoils a hundred functions has done one thing."""


@dataclass
class Verdict:
    """What became of a submission.

    `status` is one of graded, stopped, unreadable, failed, missing; `reason` says why, or what was noticed. `tasks` has
    points by task, `questions` points by open question, None until somebody has read the answer; `possible` has the
    points of both.
    """

    student: str
    exercise: str
    status: str = "graded"
    reason: str = ""
    tasks: dict[str, float] = field(default_factory=dict)
    questions: dict[str, float | None] = field(default_factory=dict)
    possible: dict[str, float] = field(default_factory=dict)

    @property
    def score(self) -> float:
        """Points so far."""
        return sum(self.tasks.values()) + sum(points or 0 for points in self.questions.values())


def grade(
    masters: list[Master],
    folder: Path,
    out: Path,
    *,
    limits: Limits = Limits(),  # noqa: B008  frozen
    again: bool = False,
    recordings: Path | None = None,
    tell: Callable[[Verdict, bool], None] = lambda verdict, fresh: None,
) -> list[Verdict]:
    """Grade every submission in a folder; write scores.csv, grades.csv, gradebook.db and feedback/ to `out`.

    What was graded before, by the same master, is not run again unless it changed or `again` says so. Points that a
    person gave in the gradebook are kept and counted.

    Args:
        masters: the exercises.
        folder: the submissions, see `submissions.find`.
        out: an nbgrader course, made if it is not there.
        limits: what each submission may take.
        again: grade everything anew.
        recordings: a folder that the exercises find at ../book/recordings.
        tell: called after each submission with its verdict and whether it was graded now.

    Raises `ConfigError` or `DataError` about the folders and masters, never about a submission.
    """
    found = submissions.find(folder, [master.exercise for master in masters])
    state = _state(out)
    course = Course(out)
    wanted = {submission.exercise for submission in found}
    by_name = {master.exercise: master for master in masters if master.exercise in wanted}
    for name, master in by_name.items():
        if state["masters"].get(name) != _digest(master.text):
            course.enter(master)
            state["masters"][name] = _digest(master.text)
    write_json(out / STATE, state)
    verdicts = []
    for submission in found:
        job = Job(by_name[submission.exercise], state["seed"], limits, recordings)
        verdict, fresh = _settle(course, submission, job, state["graded"], again)
        write_json(out / STATE, state)
        verdicts.append(verdict)
        tell(verdict, fresh)
    write_atomic(out / "scores.csv", table(verdicts).encode())
    course.export()
    return verdicts


def _settle(course: Course, submission: Submission, job: Job, graded: dict, again: bool) -> tuple[Verdict, bool]:
    """The verdict on one submission and whether it was graded now; `graded` keeps it for the next time."""
    key = f"{submission.student}/{submission.exercise}"
    mark = _digest(f"{submission.digest()} {job.master.text}")
    known = graded.get(key, {})
    fresh = again or known.get("mark") != mark or _worth_another_try(known, job.limits)
    verdict = _grade(course, submission, job) if fresh else Verdict(**known["verdict"])
    _count(course, verdict, job.master)
    if fresh or known["verdict"] != asdict(verdict):  # a person has given points since
        _give_feedback(course, verdict)
        graded[key] = {"mark": mark, "limits": asdict(job.limits), "verdict": asdict(verdict)}
    return verdict, fresh


def _state(out: Path) -> dict:
    """What is known of earlier gradings into a folder."""
    path = out / STATE
    if path.exists():
        return json.loads(path.read_text(encoding="utf-8"))
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out}: holds other things; give --out a new folder or one that was graded into before")
    # One seed for all who are graded into this folder; none of them can know it.
    return {"seed": 1 + secrets.randbelow(2**31 - 1), "masters": {}, "graded": {}}


def _worth_another_try(known: dict, limits: Limits) -> bool:
    """Whether something was stopped by other limits than those of now."""
    return known["verdict"]["status"] == "stopped" and known["limits"] != asdict(limits)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def known_as(student: str) -> str:
    """The name under which the gradebook has a student: without what would be a pattern or a path to nbgrader."""
    plain = "".join(letter if letter.isalnum() or letter in "_-." else "_" for letter in student)
    return plain if plain == student else f"{plain}-{_digest(student)[:6]}"


def _grade(course: Course, submission: Submission, job: Job) -> Verdict:
    """Grade one submission; whatever is wrong with it, the result is a verdict."""
    verdict = Verdict(submission.student, submission.exercise)
    student = known_as(submission.student)
    course.withdraw(student, submission.exercise)
    if submission.file is None:
        verdict.status, verdict.reason = "missing", "nothing handed in"
        return verdict
    remarks = [f"one of several files: {submission.file.name}"] if submission.others else []
    try:
        fitted = submissions.fit(submissions.read(submission.file), students.notebook(job.master))
        course.hand_in(student, submission.exercise, fitted.notebook)
        course.autograde(student, job)
    except DataError as error:
        verdict.status, verdict.reason = "unreadable", str(error)
        return verdict
    except Exception as error:  # nothing that somebody hands in may keep the others from their marks
        course.log(f"{submission.student}/{submission.exercise}", error)
        verdict.status, verdict.reason = "failed", f"could not be graded ({type(error).__name__}); see grading.log"
        return verdict
    verdict.status = "stopped" if job.outcome.stopped else "graded"
    remarks += fitted.remarks + list(dict.fromkeys(job.remarks))
    if len(remarks) > REMARKS:
        remarks[REMARKS:] = [f"and {len(remarks) - REMARKS} remarks more"]
    verdict.reason = "; ".join(filter(None, [job.outcome.stopped, *remarks]))
    return verdict


def _count(course: Course, verdict: Verdict, master: Master) -> None:
    """Take the points from the gradebook, where a person may have given some since."""
    points = course.points(known_as(verdict.student), verdict.exercise)
    verdict.tasks = {cell.name: points.get(f"test-{cell.name}") or 0.0 for cell in master.of("test")}
    verdict.questions = {cell.name: points.get(f"question-{cell.name}", 0.0) for cell in master.of("question")}
    verdict.possible = {cell.name: float(cell.points) for cell in master.of("test", "question")}


def _give_feedback(course: Course, verdict: Verdict) -> None:
    """The page for the student; of what could not be read there is none."""
    if verdict.status not in ("graded", "stopped"):
        return
    try:
        course.feedback(known_as(verdict.student), verdict.exercise)
    except Exception as error:  # the marks stand, whatever a page can not show
        course.log(f"{verdict.student}/{verdict.exercise}", error)
        verdict.reason = "; ".join(filter(None, [verdict.reason, "no feedback page; see grading.log"]))


def table(verdicts: list[Verdict]) -> str:
    """scores.csv: a row for each student and exercise, a column for each task and question."""
    parts = list(dict.fromkeys(name for one in verdicts for name in one.possible))
    heads = ["student", "exercise", "status", "score", "possible", "to read", *parts, "reason"]
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(heads)
    writer.writerows(_row(one, parts) for one in verdicts)
    return written.getvalue()


def _row(verdict: Verdict, parts: list[str]) -> Iterator[str]:
    unread = [name for name, points in verdict.questions.items() if points is None]
    points = verdict.tasks | {name: TO_READ if given is None else given for name, given in verdict.questions.items()}
    yield from (_cell(verdict.student), verdict.exercise, verdict.status)
    yield from (f"{verdict.score:g}", f"{sum(verdict.possible.values()):g}", str(len(unread)))
    for name in parts:
        value = points.get(name, "")
        yield value if isinstance(value, str) else f"{value:g}"
    yield _cell(verdict.reason)


def _cell(text: str) -> str:
    """Text that a spreadsheet does not take for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text
