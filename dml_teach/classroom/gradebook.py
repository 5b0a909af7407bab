"""An nbgrader course folder: exercises entered, submissions autograded, feedback and tables written, by nbgrader.

Its converters are used as they are, but for one step: what would run a notebook in this process hands it to `watching`.
"""

import ast
import logging
import os
import shutil
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from nbgrader import preprocessors as steps
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.converters import Autograde, GenerateAssignment, GenerateFeedback
from nbgrader.converters.base import NbGraderException
from nbgrader.coursedir import CourseDirectory
from nbgrader.plugins import CsvExportPlugin
from nbgrader.preprocessors import NbGraderPreprocessor
from traitlets.config import Config

from dml_teach.classroom import pictures, students, watching
from dml_teach.classroom.markers import HIDDEN_TESTS, regions, without
from dml_teach.classroom.masters import ROLES, Master
from dml_teach.classroom.watching import Limits, Outcome
from dml_teach.errors import ConfigError

COURSE = "dml"
SETTINGS = f"""\
# An nbgrader course, made by `dml-teach classroom grade`; nbgrader's own commands know it by this file.
c = get_config()
c.CourseDirectory.course_id = "{COURSE}"
"""
NEVER_RAN = "not run"
LOG = logging.getLogger("dml_teach.classroom")


@dataclass
class Job:
    """One submission to run: its exercise, the seed of the checkers, its limits; afterwards what came of it."""

    master: Master
    seed: int
    limits: Limits
    recordings: Path | None = None
    outcome: Outcome = field(default_factory=Outcome)
    remarks: list[str] = field(default_factory=list)


class Course:
    """The folder. `student` and `exercise` are names that nbgrader takes for itself."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.root.mkdir(parents=True, exist_ok=True)
        (self.root / "nbgrader_config.py").write_text(SETTINGS, encoding="utf-8")
        self.database = f"sqlite:///{self.root / 'gradebook.db'}"
        with _own_programs(), self.open():
            pass  # a new gradebook is made with alembic's program, which is beside this Python and maybe not in PATH

    def enter(self, master: Master) -> None:
        """Tell the gradebook of an exercise: its cells, their points, and the tests with what is hidden of them."""
        name = master.exercise
        source = self.root / "source" / name / f"{name}.ipynb"
        source.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(for_nbgrader(students.notebook(master, tests_stay=True)), source)
        for picture in pictures.names(master):  # which nbgrader carries along to the feedback
            drawn = master.path.parents[1] / "exercises" / "pictures" / picture
            if drawn.is_file():
                (source.parent / "pictures").mkdir(exist_ok=True)
                shutil.copyfile(drawn, source.parent / "pictures" / picture)
        config = Config()
        # Solutions are cut out already, so that none comes near a submission.
        config.GenerateAssignment.preprocessors = [
            step for step in GenerateAssignment.preprocessors.default() if step is not steps.ClearSolutions
        ]
        try:
            self._run(GenerateAssignment, config, name, ".")
        except NbGraderException as error:
            raise ConfigError(
                f"{self.root.name}: nbgrader does not take {name} (see grading.log there); if its cells are others than"
                " when it was graded there before, give a new --out"
            ) from error

    def hand_in(self, student: str, exercise: str, notebook: Any) -> None:
        """Lay a notebook, fitted to its exercise, where nbgrader looks for submissions."""
        folder = self.root / "submitted" / student / exercise
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        nbformat.write(for_nbgrader(notebook), folder / f"{exercise}.ipynb")

    def autograde(self, student: str, job: Job) -> None:
        """Run and mark what was handed in. Raises `NbGraderException` if nbgrader can make nothing of it."""
        config = Config()
        config.Autograde.autograde_preprocessors = [
            type("Elsewhere", (Elsewhere,), {"job": job}) if step is steps.Execute else step
            for step in Autograde.autograde_preprocessors.default()
        ]
        config.OverwriteCells.add_missing_cells = True
        self._run(Autograde, config, job.master.exercise, student)

    def withdraw(self, student: str, exercise: str) -> None:
        """Forget a submission."""
        with self.open() as book, suppress(MissingEntry):
            book.remove_submission(exercise, student)
        for part in ("submitted", "autograded", "feedback"):
            shutil.rmtree(self.root / part / student / exercise, ignore_errors=True)

    def feedback(self, student: str, exercise: str) -> Path:
        """Write a submission's page for its author, without the hidden tests."""
        config = Config()
        first, *others = GenerateFeedback.preprocessors.default()
        config.GenerateFeedback.preprocessors = [first, steps.ClearHiddenTests, *others]
        config.ClearHiddenTests.enforce_metadata = False
        config.HTMLExporter.sanitize_html = True  # whoever reads the page must not run what a submission displays
        self._run(GenerateFeedback, config, exercise, student)
        return self.root / "feedback" / student / exercise / f"{exercise}.html"

    def export(self) -> None:
        """Write grades.csv, nbgrader's own table."""
        with self.open() as book:
            CsvExportPlugin(to=str(self.root / "grades.csv")).export(book)

    def points(self, student: str, exercise: str) -> dict[str, float | None]:
        """Points by cell, those of a person before the autograder's; None for what a person must read."""
        with self.open() as book:
            try:
                entry = book.find_submission_notebook(exercise, exercise, student)
            except MissingEntry:
                return {}
            return {
                grade.name: None if grade.manual_score is None and grade.auto_score is None else grade.score
                for grade in entry.grades
            }

    def log(self, name: str, error: Exception) -> None:
        """Write an error about a submission into grading.log."""
        with self._logged() as log:
            log.error("%s", name, exc_info=error)

    def open(self) -> Gradebook:
        """The gradebook, to be used in a `with`."""
        return Gradebook(self.database, COURSE)

    def _run(self, converter: Any, config: Config, exercise: str, student: str) -> None:
        """Run one of nbgrader's converters, its words in grading.log."""
        config.CourseDirectory.root = str(self.root)
        config.CourseDirectory.course_id = COURSE
        config.CourseDirectory.db_url = self.database
        folder = CourseDirectory(config=config)
        folder.assignment_id, folder.student_id = exercise, student
        with self._logged() as log, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # nbgrader's own about its database
            made = converter(coursedir=folder, config=config, force=True)
            made.log = log
            made.start()

    @contextmanager
    def _logged(self) -> Iterator[logging.Logger]:
        handler = logging.FileHandler(self.root / "grading.log", encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        LOG.addHandler(handler)
        LOG.setLevel(logging.INFO)
        LOG.propagate = False
        try:
            yield LOG
        finally:
            LOG.removeHandler(handler)
            handler.close()


@contextmanager
def _own_programs() -> Iterator[None]:
    """Let programs that were installed with this Python be found."""
    before = os.environ.get("PATH", "")
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), before])
    try:
        yield
    finally:
        os.environ["PATH"] = before


class Elsewhere(NbGraderPreprocessor):
    """In the place of nbgrader's `Execute`: the same, in a process that is watched."""

    job: Job

    def preprocess(self, nb: Any, resources: Any) -> Any:
        """Run the notebook; every cell gets its outputs, every test that did not pass an error."""
        job = self.job
        variables = {"DML_TEACH_CHECK_SEED": str(job.seed), "DML_TEACH_PROGRESS": "off"}
        described = {
            "notebook": nb,
            "tests": dict(tests(nb, job.master)),
            "imports": imports(students.notebook(job.master)),
            "variables": variables,
        }
        job.outcome = watching.run(described, job.limits, job.recordings)
        for position, cell in enumerate(nb.cells):
            if cell.cell_type != "code":
                continue
            report = job.outcome.cells.get(position, {"outputs": [], "passed": False, "restored": []})
            cell.outputs = [nbformat.from_dict(output) for output in report["outputs"]]
            job.remarks += [f"{name} was replaced; put back" for name in report["restored"]]
            is_test = cell.metadata.get("nbgrader", {}).get("grade", False)
            if is_test and not report["passed"] and not any(o.output_type == "error" for o in cell.outputs):
                cell.outputs.append(_error(job.outcome.stopped or NEVER_RAN))
        return nb, resources


def _error(words: str) -> Any:
    return nbformat.v4.new_output("error", ename="NotPassed", evalue=words, traceback=[f"NotPassed: {words}"])


def for_nbgrader(notebook: Any) -> Any:
    """The notebook with the metadata by which nbgrader knows the cells. Changes `notebook`."""
    for cell in notebook.cells:
        role = next((role for role in cell.metadata if role in ROLES), None)
        if role is None and (cell.cell_type != "code" or cell.id.startswith("own-")):
            continue
        told = {
            "schema_version": 3,
            "grade_id": cell.id,
            "grade": role in ("test", "question"),
            "solution": role in ("task", "question"),
            "locked": role in ("test", None),  # also what is given: whoever played with it gets it back
            "task": False,
            "cell_type": cell.cell_type,
        }
        if told["grade"]:
            told["points"] = cell.metadata["points"]
        cell.metadata["nbgrader"] = told
    return notebook


def tests(notebook: Any, master: Master) -> Iterator[tuple[int, list[Any]]]:
    """Position of each test in a notebook for grading, and what the guard needs of it: seen, hidden, tested."""
    tested = [cell.name for cell in master.of("task")]
    for position, cell in enumerate(notebook.cells):
        told = cell.metadata.get("nbgrader", {})
        if cell.cell_type == "code" and told.get("grade"):
            seen = without(cell.source, told["grade_id"], {HIDDEN_TESTS: None})
            lines = cell.source.splitlines()
            hidden = [lines[one.first : one.last - 1] for one in regions(cell.source, told["grade_id"])]
            yield position, [seen, "\n".join("\n".join(part) for part in hidden), tested]


def imports(exercise: Any) -> str:
    """The import statements of the cells that students are given, one a line."""
    found = []
    for cell in exercise.cells:
        if cell.cell_type == "code" and "task" not in cell.metadata:
            lines = "\n".join("" if line.lstrip().startswith(("%", "!")) else line for line in cell.source.splitlines())
            found += [ast.unparse(one) for one in ast.parse(lines).body if isinstance(one, ast.Import | ast.ImportFrom)]
    return "\n".join(dict.fromkeys(found))
