"""The warm process that forks runs, and the runs that nobody disturbed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dml_teach import runs

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def child():
    """child(folder, setting, kill) trains in a process of its own and returns its exit code; see `child.py`."""
    if not hasattr(os, "fork") or sys.platform == "darwin":
        pytest.skip("a warm process is forked, which is safe with PyTorch on Linux only")
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.child"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert server.stdin and server.stdout

    def run(folder, setting, kill=None):
        server.stdin.write(json.dumps({"folder": str(folder), "setting": setting, "kill": kill}) + "\n")
        server.stdin.flush()
        return int(server.stdout.readline())

    yield run
    server.stdin.close()
    assert server.wait(timeout=60) == 0


@pytest.fixture(scope="session")
def undisturbed(child, tmp_path_factory):
    """undisturbed(setting): a run that was never killed, and the seconds it took."""
    known = {}

    def run(setting):
        if setting not in known:
            folder, started = tmp_path_factory.mktemp("undisturbed") / setting, time.perf_counter()
            assert child(folder, setting) == 0
            known[setting] = runs.load(folder), time.perf_counter() - started
        return known[setting]

    return run


@pytest.fixture
def killed(child):
    """killed(folder, setting, kill): train until the process is killed so."""

    def run(folder, setting, kill):
        assert child(folder, setting, kill) == -signal.SIGKILL

    return run
