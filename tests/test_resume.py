"""A run that was interrupted and resumed equals one that never stopped, to the bit."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from dml_teach import checkpoint, runs, topology
from dml_teach.cli import main
from dml_teach.cohort import Cohort, Peer
from dml_teach.errors import CheckpointError, DivergedError, Interrupted, RunError
from dml_teach.recipes import Recipe
from dml_teach.trainer import fit, resume, trained_network
from tests.same import assert_same

RECIPE = Recipe(name="test", epochs=3, batch_size=20, learning_rate=0.05, probe_images=30)  # 3 steps an epoch


class Killed(BaseException):
    """Stands for a process that ends between two instructions."""


@pytest.fixture
def stop_at(monkeypatch):
    """Make the n-th step of the runs that follow raise `Killed`, or, given a signal, receive it."""
    original = Cohort.step

    def arm(number, sent=None):
        counted = [0]

        def step(self, images, labels):
            counted[0] += 1
            if counted[0] == number and sent is None:
                raise Killed
            if counted[0] == number:
                signal.raise_signal(sent)
            return original(self, images, labels)

        monkeypatch.setattr(Cohort, "step", step)

    yield arm
    monkeypatch.setattr(Cohort, "step", original)


def begin(folder, sets, peers=("small", "small"), matrix=None, frozen=(), checkpoint_seconds=0.0, **changes):
    matrix = topology.mutual(len(peers)) if matrix is None else matrix
    return fit(
        peers, matrix, *sets, RECIPE.with_(**changes), seed=0, out=folder, frozen=frozen, device="cpu", progress=False,
        checkpoint_seconds=checkpoint_seconds,
    )  # fmt: skip


@pytest.fixture
def sets(train_set, test_set):
    return train_set, test_set


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 9])
def test_a_run_that_ended_at_any_step_goes_on_to_the_same_end(number, sets, stop_at, tmp_path):
    whole = begin(tmp_path / "whole", sets)
    stop_at(number)
    with pytest.raises(Killed):
        begin(tmp_path / "cut", sets)
    stop_at(0)
    assert_same(resume(tmp_path / "cut", *sets, progress=False), whole)
    assert not (tmp_path / "cut" / "checkpoints").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"order": "sequential", "augment": True},
        {"optimizer": "adam", "learning_rate": 0.01},
        {"peers": ("small", "resnet32"), "warmup_epochs": 2.0, "mimicry": "summed"},
    ],
    ids=["sequential, augmented", "adam", "unequal peers, warm-up"],
)
def test_every_kind_of_run_goes_on_even_if_interrupted_again_and_again(changes, sets, stop_at, tmp_path):
    whole = begin(tmp_path / "whole", sets, **changes)
    stop_at(2)
    with pytest.raises(Killed):
        begin(tmp_path / "cut", sets, **changes)
    for _ in range(3):
        stop_at(3)
        with pytest.raises(Killed):
            resume(tmp_path / "cut", *sets, progress=False, checkpoint_seconds=0.0)
    stop_at(0)
    assert_same(resume(tmp_path / "cut", *sets, progress=False), whole)


def test_a_frozen_teacher_goes_on_teaching(sets, stop_at, tmp_path):
    teacher = trained_network(begin(tmp_path / "teacher", sets, peers=("small",)), 0)
    student = {"peers": (teacher, "small"), "matrix": topology.one_way(2), "frozen": (0,)}
    whole = begin(tmp_path / "whole", sets, **student)
    stop_at(5)
    with pytest.raises(Killed):
        begin(tmp_path / "cut", sets, **student)
    stop_at(0)
    assert_same(resume(tmp_path / "cut", *sets, progress=False), whole)


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


def test_a_finished_run_resumes_to_itself(sets, tmp_path):
    whole = begin(tmp_path / "whole", sets)
    assert_same(resume(tmp_path / "whole", *sets), whole)


@pytest.fixture
def cut(sets, stop_at, tmp_path):
    stop_at(6)
    with pytest.raises(Killed):
        begin(tmp_path / "cut", sets)
    stop_at(0)
    return tmp_path / "cut"


def test_a_damaged_checkpoint_gives_way_to_the_one_before_it(cut, sets, tmp_path):
    whole = begin(tmp_path / "whole", sets)
    newest = checkpoint.files(cut / "checkpoints")[-1]
    newest.write_bytes(newest.read_bytes()[:-1])
    with pytest.warns(checkpoint.CheckpointWarning, match=newest.name):
        assert_same(resume(cut, *sets, progress=False), whole)


def test_other_data_or_settings_are_refused_with_the_field_at_fault(cut, sets, train_set):
    from tests.conftest import striped

    with pytest.raises(CheckpointError, match="data"):
        resume(cut, striped(90, seed=7), sets[1], progress=False)
    config = (cut / "config.json").read_text()
    (cut / "config.json").write_text(config.replace('"temperature": 1.0', '"temperature": 2.0'))
    with pytest.raises(CheckpointError, match="temperature"):
        resume(cut, *sets, progress=False)


def test_a_full_disk_leaves_the_checkpoints_that_were_there(sets, tmp_path, monkeypatch):
    original, written = checkpoint.write_tensors, []

    def full(path, *rest):
        if len(written) == 4:
            raise OSError(28, "No space left on device", str(path))
        written.append(path)
        original(path, *rest)

    whole = begin(tmp_path / "whole", sets)
    monkeypatch.setattr(checkpoint, "write_tensors", full)
    with pytest.raises(CheckpointError, match="No space left on device"):
        begin(tmp_path / "cut", sets)
    monkeypatch.setattr(checkpoint, "write_tensors", original)
    assert_same(resume(tmp_path / "cut", *sets, progress=False), whole)


def test_a_diverging_run_names_step_and_peer_and_keeps_the_last_good_checkpoint(sets, tmp_path, monkeypatch):
    original, counted = Cohort.step, [0]

    def step(self, images, labels):
        counted[0] += 1
        if counted[0] == 5:
            with torch.no_grad():
                next(self.peers[1].network.parameters()).fill_(float("inf"))
        return original(self, images, labels)

    monkeypatch.setattr(Cohort, "step", step)
    with pytest.raises(DivergedError, match=r"peer [01] is no finite number at step 5.*step-0000000[34]"):
        begin(tmp_path / "run", sets, checkpoint_seconds=1e9)
    assert checkpoint.latest(tmp_path / "run" / "checkpoints").step == 3


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


class WithDropout(torch.nn.Module):
    """A network of the user's own, which draws from PyTorch's global generator."""

    def __init__(self):
        super().__init__()
        self.body = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Dropout(0.5), torch.nn.Linear(144, 3))

    def forward(self, images):
        return self.body(images)


def test_a_network_of_ones_own_goes_on_when_it_is_passed_again_even_if_it_draws_globally(sets, stop_at, tmp_path):
    def network():
        torch.manual_seed(3)
        return WithDropout()

    whole = begin(tmp_path / "whole", sets, peers=(network(),))
    stop_at(5)
    with pytest.raises(Killed):
        begin(tmp_path / "cut", sets, peers=(network(),))
    stop_at(0)
    torch.manual_seed(99)
    with pytest.raises(RunError, match=r"resume\(peers=\.\.\.\)"):
        resume(tmp_path / "cut", *sets, progress=False)
    assert_same(resume(tmp_path / "cut", *sets, peers=[WithDropout()], progress=False), whole)


def test_another_number_of_threads_is_refused(cut, sets, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    with pytest.raises(CheckpointError, match="threads was 1 and is 7"):
        resume(cut, *sets, progress=False)


def test_weights_that_are_not_finite_are_not_kept(sets, stop_at, tmp_path, monkeypatch):
    """The loss of a step can be finite and its update not: the next step would tell, but the checkpoint comes first."""
    update = Peer.update

    def overflow(self, loss):
        update(self, loss)
        if checkpoint.files(tmp_path / "run" / "checkpoints")[-1].name == "step-00000004.safetensors":
            with torch.no_grad():
                next(self.network.parameters()).fill_(float("nan"))

    monkeypatch.setattr(Peer, "update", overflow)
    with pytest.raises(DivergedError, match=r"weights of peer 0 are no finite number at step 5.*step-00000004"):
        begin(tmp_path / "run", sets)
    assert checkpoint.latest(tmp_path / "run" / "checkpoints").step == 4


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
