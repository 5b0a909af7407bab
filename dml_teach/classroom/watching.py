"""Running a submission in a process of its own, watched from outside: time and memory of it and all that it starts."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import matplotlib
import psutil

import dml_teach

POLL_SECONDS = 0.1
START_MEMORY = 2**30
"""Bytes that PyTorch and its threads have mapped before a student's line runs; on top of the limit for allocations."""
PASSED_ON = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "SYSTEMROOT", "LD_LIBRARY_PATH", "OMP_NUM_THREADS")


@dataclass(frozen=True)
class Limits:
    """What one submission may take: seconds, bytes of all its processes together, and how many those may be."""

    seconds: float = 120.0
    memory: int = 4 * 2**30
    processes: int = 64

    @property
    def cell_seconds(self) -> int:
        """Seconds for one cell: a third of the time, so that an endless one leaves some for the others."""
        return max(1, int(self.seconds / 3))


@dataclass
class Outcome:
    """What came of a run: the reports of the cells by position, and why it ended early, in words, if it did."""

    cells: dict[int, dict[str, Any]] = field(default_factory=dict)
    stopped: str = ""


def run(job: dict[str, Any], limits: Limits, recordings: Path | None = None) -> Outcome:
    """Run a job in a child, in an empty folder that is removed afterwards.

    Args:
        job: `notebook`, `tests`, `imports` and `variables`, see `child`.
        limits: what it may take.
        recordings: a folder of which the notebook finds a copy at ../book/recordings, or None.
    """
    with _scratch(recordings) as folder:
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        environment |= {
            "HOME": str(folder),
            "TMPDIR": str(folder / "tmp"),
            "PYTHONPATH": str(folder / "library"),
            "IPYTHONDIR": str(folder / "ipython"),
            "JUPYTER_CONFIG_DIR": str(folder / "jupyter"),
            "JUPYTER_DATA_DIR": str(folder / "jupyter"),
            "JUPYTER_RUNTIME_DIR": str(folder / "jupyter"),
            "MPLCONFIGDIR": str(folder / "matplotlib"),
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
            **job["variables"],
        }
        job = {**job, "memory": limits.memory + START_MEMORY, "cell_seconds": limits.cell_seconds}
        child = subprocess.Popen(
            [sys.executable, "-m", "dml_teach.classroom.child"],
            cwd=folder / "exercises",
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        assert child.stdin is not None and child.stdout is not None
        outcome = Outcome()
        reader = threading.Thread(target=_read, args=(child.stdout, outcome), daemon=True)
        reader.start()
        try:
            _feed(child.stdin, json.dumps(job))
            stopped = _watch(child, limits)
        finally:
            end(child, folder)
            reader.join(5)
        outcome.stopped = stopped or outcome.stopped
        return outcome


def _feed(stream: IO[str], text: str) -> None:
    try:
        stream.write(text)
        stream.close()
    except BrokenPipeError:
        return  # the child is gone; that it reported nothing tells


def _read(stream: IO[str], outcome: Outcome) -> None:
    """Collect the child's reports until it closes its end."""
    for line in stream:
        try:
            report = json.loads(line)
        except json.JSONDecodeError:
            continue  # cut off by the end of the child
        if "died" in report:
            outcome.stopped = report["died"]
        else:
            outcome.cells[report["cell"]] = report


def _watch(child: subprocess.Popen[str], limits: Limits) -> str:
    """Wait for the child; returns which limit it met, or that it broke, or nothing."""
    deadline = time.monotonic() + limits.seconds
    while child.poll() is None:
        if time.monotonic() > deadline:
            return f"stopped after {limits.seconds:g} s"
        family = _family(child.pid)
        if len(family) > limits.processes:
            return f"stopped: more than {limits.processes} processes"
        if _memory(family) > limits.memory:
            return f"stopped: more than {limits.memory / 2**20:.0f} MiB of memory"
        time.sleep(POLL_SECONDS)
    return "" if child.returncode == 0 else f"its process ended with {child.returncode}"


def _memory(family: list[psutil.Process]) -> int:
    """Resident bytes of processes."""
    total = 0
    for process in family:
        try:
            total += process.memory_info().rss
        except psutil.Error:
            continue  # ended meanwhile
    return total


def _family(pid: int) -> list[psutil.Process]:
    """A process and all its descendants."""
    try:
        head = psutil.Process(pid)
        return [head, *head.children(recursive=True)]
    except psutil.Error:
        return []


def end(child: subprocess.Popen[str], home: Path) -> None:
    """End a child and everything that it started, whatever groups or sessions those made for themselves.

    Its descendants are found by descent while it lives and inherits their orphans, and all by `home`, the HOME that
    they were given. They are ended again and again until none is left, because one may fork while another is ended.
    """
    for _ in range(50):
        left = {one.pid: one for one in [*_family(child.pid)[1:], *_at_home(home)] if one.pid != child.pid}
        if not left:
            break
        for process in left.values():
            _quietly(process.suspend)
        for process in left.values():
            _quietly(process.kill)
        psutil.wait_procs(list(left.values()), timeout=1)
    child.kill()
    child.wait()


def _at_home(home: Path) -> Iterator[psutil.Process]:
    """Processes whose HOME is that folder."""
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get("HOME") == str(home):
                yield process
        except psutil.Error:
            continue  # somebody else's, or ended meanwhile


def _quietly(action: Any) -> None:
    try:
        action()
    except psutil.Error:
        return  # ended meanwhile


@contextmanager
def _scratch(recordings: Path | None) -> Iterator[Path]:
    """A fresh folder with a copy of the library, which the submission may spoil, and an empty place to work in."""
    folder = Path(tempfile.mkdtemp(prefix="dml-"))
    try:
        for name in ("exercises", "tmp", "jupyter", "ipython", "matplotlib"):
            (folder / name).mkdir()
        source = Path(dml_teach.__file__).parent
        shutil.copytree(source, folder / "library" / "dml_teach")
        for known in Path(matplotlib.get_cachedir()).glob("fontlist-*.json"):  # looking for fonts takes seconds
            shutil.copy(known, folder / "matplotlib")
        if recordings is not None and recordings.is_dir():
            shutil.copytree(recordings, folder / "book" / "recordings")
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
