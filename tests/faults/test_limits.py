"""A disk that is full, for a real process."""

import subprocess
import sys

import pytest

from dml_teach import checkpoint, runs
from dml_teach.cli import main

resource = pytest.importorskip("resource", reason="limits on the size of files are POSIX's")


def test_a_file_that_grows_too_large_ends_in_one_line_that_names_it_and_the_run_goes_on_later(tmp_path, capfd):
    """The first checkpoint has no momentum yet, so it is half the size of the second."""
    run = tmp_path / "run"
    settings = ["train", "bundled", "--recipe", "smoke", "--subset", "50", "--peers", "resnet32", "--quiet"]
    done = subprocess.run(
        [sys.executable, "-m", "dml_teach", *settings, "--device", "cpu", "--out", str(run)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000)),
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "step-00000002.safetensors can not be written" in done.stderr and "resume" in done.stderr
    assert checkpoint.latest(run / "checkpoints").step == 0
    assert not list(run.rglob("*.partial"))
    assert main(["resume", str(run), "--quiet"]) == 0
    assert len(runs.load(run).epochs) == 2 and "top-1" in capfd.readouterr().out
