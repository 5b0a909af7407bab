"""The process that runs one submission: `python -m dml_teach.classroom.child`, started and watched by `watching`.

It reads a job as JSON from stdin, runs the notebook with nbgrader's own `Execute`, and writes a line of JSON for each
cell as soon as that cell is done, so that what was finished before a limit was met still counts.
"""

import ctypes
import json
import os
import secrets
import sys
from pathlib import Path
from typing import Any

import nbformat
from nbclient.exceptions import DeadKernelError
from nbformat import ValidationError
from nbgrader.preprocessors import Execute

from dml_teach.classroom import guard

OUTPUT_BYTES = 200_000
FILE_BYTES = 256 * 2**20
SET_CHILD_SUBREAPER = 36
ENOUGH = "\n... more than a cell may print ...\n"
QUIET = ["--HistoryManager.hist_file=:memory:", "--log-level=ERROR"]


class Streaming(Execute):
    """nbgrader's `Execute` that tests behind a guard, bounds what a cell may print, and reports cell by cell."""

    job: dict[str, Any]

    def preprocess_cell(self, cell: Any, resources: Any, index: int) -> Any:
        """Run one cell; a test cell is run by the guard in its place."""
        shown = cell.source
        self.printed = 0
        test = self.job["tests"].get(str(index))
        proof = secrets.token_hex(16)
        if test is not None:
            cell.source = f"{self.job['guard']}.test(*{test!r}, globals(), {proof!r})"
        cell, resources = super().preprocess_cell(cell, resources, index)
        cell.source = shown
        if cell.cell_type == "code" and index > 0:
            report(index - 1, **judged(cell.outputs, proof if test is not None else None))
        return cell, resources

    def process_message(self, msg: Any, cell: Any, cell_index: int) -> Any:
        """Take an output, unless the cell has had its share."""
        if msg["msg_type"] in ("stream", "display_data", "execute_result"):
            before, self.printed = self.printed, self.printed + len(json.dumps(msg["content"]))
            if self.printed > OUTPUT_BYTES:
                if before > OUTPUT_BYTES:
                    return None
                msg = {**msg, "msg_type": "stream", "content": {"name": "stdout", "text": ENOUGH}}
                msg["header"] = {**msg["header"], "msg_type": "stream"}
        try:
            return super().process_message(msg, cell, cell_index)
        except ValidationError:  # an output that no notebook can hold
            return None


def judged(outputs: list[Any], proof: str | None) -> dict[str, Any]:
    """The outputs of a cell as they are kept, and for a test whether it passed and what the guard put back."""
    said = [output["data"][guard.PROOF] for output in outputs if guard.PROOF in output.get("data", {})]
    kept = [output for output in outputs if guard.PROOF not in output.get("data", {})]
    passed = None
    if proof is not None:
        passed = {"passed": proof} in said
        kept = [_readable(output) for output in kept if output["output_type"] != "execute_result"]
        if passed:
            kept = [output for output in kept if output["output_type"] != "error"]
    restored = [name for one in said for name in one.get("restored", [])]
    return {"outputs": kept, "passed": passed, "restored": restored}


def _readable(output: Any) -> Any:
    """Outputs of a test: what goes to stderr is no failure; a failure is told in words, without the tests' lines."""
    if output["output_type"] == "stream":
        return {**output, "name": "stdout"}
    if output["output_type"] == "error":
        return {**output, "traceback": [f"\x1b[0;31m{output['ename']}\x1b[0m: {output['evalue']}"]}
    return output


def report(index: int, **facts: Any) -> None:
    """One line for the parent."""
    REPORTS.write(json.dumps({"cell": index, **facts}) + "\n")
    REPORTS.flush()


def limit(memory: int) -> None:
    """Bounds that the kernel inherits, where the system has them; the parent watches besides."""
    try:
        import resource
    except ImportError:  # no POSIX: the parent's watch remains
        return
    for name, amount in (("RLIMIT_DATA", memory), ("RLIMIT_FSIZE", FILE_BYTES), ("RLIMIT_CORE", 0)):
        if hasattr(resource, name):
            kind = getattr(resource, name)
            hard = resource.getrlimit(kind)[1]
            amount = amount if hard == resource.RLIM_INFINITY else min(amount, hard)
            resource.setrlimit(kind, (amount, amount))
    if sys.platform == "linux":  # orphans of the kernel become children of this process, where the parent finds them
        ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def main() -> None:
    """Run the job."""
    job = json.load(sys.stdin)
    limit(job["memory"])
    notebook = nbformat.from_dict(job["notebook"])
    job["guard"] = f"_{secrets.token_hex(16)}"
    start = (
        "import sys; from pathlib import Path; "
        "sys.path[:] = [p for p in sys.path if not (Path(p or '.') / 'solutions').is_dir()]; "
        f"from dml_teach.classroom.guard import Guard as {job['guard']}; "
        f"{job['guard']} = {job['guard']}({job['imports']!r}, {job['variables']!r})"
    )
    notebook.cells.insert(0, nbformat.v4.new_code_cell(start))
    job["tests"] = {str(int(index) + 1): test for index, test in job["tests"].items()}
    runner = Streaming(timeout=job["cell_seconds"], kernel_name="python3", extra_arguments=QUIET)
    runner.job = job
    try:
        runner.preprocess(notebook, {"metadata": {"path": str(Path.cwd())}})
    except DeadKernelError:
        report(-1, died="its Python process died")
    except Exception as error:  # of the wires to a kernel that answers no more there are many kinds
        report(-1, died=f"its Python process answered no more ({type(error).__name__})")


if __name__ == "__main__":
    REPORTS = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever else prints must not come between the lines
    main()
