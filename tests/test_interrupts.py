"""Signals, a killed process, and what the command line says of them."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from dml_teach import checkpoint, runs
from dml_teach.cli import main
from dml_teach.cohort import Cohort
from dml_teach.errors import Interrupted
from dml_teach.trainer import resume
from tests.resuming import Killed, assert_same, begin


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_after_the_step_with_a_checkpoint(sent, sets, stop_at, tmp_path):
    whole, before = begin(tmp_path / "whole", sets), signal.getsignal(sent)
    stop_at(5, sent)
    with pytest.raises(Interrupted, match="dml-teach resume") as caught:
        begin(tmp_path / "cut", sets, checkpoint_seconds=1e9)
    assert caught.value.signal == sent and signal.getsignal(sent) is before
    assert checkpoint.latest(tmp_path / "cut" / "checkpoints").step == 5
    stop_at(0)
    assert_same(resume(tmp_path / "cut", *sets, progress=False), whole)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX's")
def test_a_process_killed_outright_resumes_from_the_command_line(tmp_path, capsys):
    arguments = [
        "train",
        "bundled",
        "--peers",
        "small,small",
        "--subset",
        "300",
        "--epochs",
        "6",
        "--quiet",
        "--device",
        "cpu",
    ]
    assert main([*arguments, "--out", str(tmp_path / "whole")]) == 0
    child = subprocess.Popen([sys.executable, "-m", "dml_teach", *arguments, "--out", str(tmp_path / "cut")])
    metrics = tmp_path / "cut" / "metrics.jsonl"
    while child.poll() is None and not (metrics.exists() and metrics.read_text().count("\n") >= 2):
        time.sleep(0.02)
    os.kill(child.pid, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert runs.load(tmp_path / "cut").test is None
    assert main(["resume", str(tmp_path / "cut"), "--quiet"]) == 0
    assert_same(runs.load(tmp_path / "cut"), runs.load(tmp_path / "whole"))
    assert main(["resume", str(tmp_path)]) == 2
    assert "not a run folder" in capsys.readouterr().err


def test_the_command_line_says_on_one_line_which_checkpoint_was_damaged(tmp_path, stop_at, capsys):
    arguments = ["train", "bundled", "--recipe", "smoke", "--subset", "50", "--peers", "small", "--quiet"]
    stop_at(4)
    with pytest.raises(Killed):
        main([*arguments, "--device", "cpu", "--out", str(tmp_path / "run")])
    stop_at(0)
    (newest,) = checkpoint.files(tmp_path / "run" / "checkpoints")[1:]
    newest.write_bytes(b"")
    assert main(["resume", str(tmp_path / "run"), "--quiet"]) == 0
    error = capsys.readouterr().err
    assert error.startswith("dml-teach: warning: ") and error.count("\n") == 1
    assert newest.name in error and "from step 0" in error


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_command_line_with_its_code_and_the_way_on(sent, code, tmp_path, stop_at, capsys):
    arguments = ["train", "bundled", "--recipe", "smoke", "--subset", "50", "--peers", "small", "--quiet"]
    stop_at(3, sent)
    assert main([*arguments, "--device", "cpu", "--out", str(tmp_path / "run")]) == code
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and f"dml-teach resume {tmp_path / 'run'}" in error
    stop_at(0)
    assert main(["resume", str(tmp_path / "run"), "--quiet"]) == 0


@pytest.mark.parametrize("name", ["missing", "empty", "file"])
def test_resume_of_what_is_no_run_is_one_line(name, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    assert main(["resume", str(tmp_path / name)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "not a run folder" in error


def test_a_run_without_checkpoints_says_so_and_a_finished_one_prints_its_results(sets, stop_at, tmp_path, capsys):
    begin(tmp_path / "whole", sets)
    assert main(["resume", str(tmp_path / "whole")]) == 0
    assert "top-1" in capsys.readouterr().out
    stop_at(5)
    with pytest.raises(Killed):
        begin(tmp_path / "cut", sets, checkpoint_seconds=None)
    assert not (tmp_path / "cut" / "checkpoints").exists()
    assert main(["resume", str(tmp_path / "cut")]) == 2
    assert "no checkpoint" in capsys.readouterr().err


def test_a_second_signal_stops_at_once(sets, stop_at, tmp_path, monkeypatch):
    original = Cohort.step

    def step(self, images, labels):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        return original(self, images, labels)

    monkeypatch.setattr(Cohort, "step", step)
    with pytest.raises(KeyboardInterrupt) as caught:
        begin(tmp_path / "run", sets)
    assert not isinstance(caught.value, Interrupted)


def test_a_signal_that_comes_too_late_is_passed_on_when_the_run_has_finished(sets, tmp_path, monkeypatch):
    discard = checkpoint.discard

    def late(folder):
        discard(folder)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(checkpoint, "discard", late)
    with pytest.raises(KeyboardInterrupt):
        begin(tmp_path / "run", sets)
    assert runs.load(tmp_path / "run").test is not None


def test_in_a_thread_a_run_trains_without_handlers(sets, tmp_path):
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(begin, tmp_path / "run", sets).result().test is not None


def test_an_interruption_without_a_checkpoint_is_one_line_too(capsys, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("dml_teach.doctor.examine", interrupt)
    assert main(["doctor"]) == 130
    assert capsys.readouterr().err.count("\n") == 1
