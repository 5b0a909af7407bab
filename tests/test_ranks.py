"""Which errors are those of a connection, and what a process knows of being a rank."""

import os
import subprocess
import sys

import pytest

from dml_teach import ranks
from dml_teach.cli import main
from dml_teach.errors import DivergedError, RankError


@pytest.fixture
def launched(monkeypatch):
    for name, value in {"RANK": "3", "WORLD_SIZE": "4", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)


class Store(dict):
    """A store in one process."""

    def set(self, key, value):
        self[key] = value.encode()

    def get(self, key):
        return self[key]

    def check(self, keys):
        return all(key in self for key in keys)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RuntimeError("[.../third_party/gloo/gloo/transport/tcp/pair.cc:561] Connection closed by peer"), True),
        (RuntimeError("NCCL error in: ..."), True),
        (RuntimeError("not enough memory"), False),
        (DivergedError("gloo is no finite number"), False),
        (KeyboardInterrupt(), False),
    ],
)
def test_an_error_of_the_connection_is_told_from_one_of_the_computation(error, expected):
    assert ranks.of_connection(error) is expected


def test_a_process_by_itself_is_rank_0(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    assert not ranks.launched() and ranks.this() == 0


def test_a_launched_process_knows_its_rank(launched):
    assert ranks.launched() and ranks.this() == 3


def test_an_error_on_a_rank_has_the_rank_in_front(launched, capsys):
    assert main(["train", "mnist"]) == 2
    assert capsys.readouterr().err.startswith("dml-teach, rank 3: error:")


def test_whoever_left_no_word_is_missed(monkeypatch):
    monkeypatch.setattr(ranks, "GRACE", 0.2)
    store = Store()
    for other in (1, 2):
        store.set(f"process/{other}", "1 elsewhere")
    store.set("waiting/1", "yes")
    cause = "rank 0 can not go on: rank 2 did not answer within 5 seconds"
    with pytest.raises(RankError, match=cause), ranks.told(store, 0, 3, limit=5):
        raise RuntimeError("gloo: Timed out waiting 5000ms")


def test_a_process_that_has_ended_is_said_to_have_died():
    store, child = Store(), subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    store.set("process/1", f"{child.pid} {ranks.socket.gethostname()}")
    with pytest.raises(RankError, match="rank 1 died"), ranks.told(store, 0, 2, limit=5):
        raise RuntimeError("gloo: Connection closed by peer")


def test_the_cause_that_a_rank_left_is_passed_on():
    store = Store()
    with pytest.raises(DivergedError), ranks.told(store, 1, 2, limit=5):
        raise DivergedError("the loss of peer 1")
    cause = "rank 1 ended with DivergedError: the loss of peer 1"
    with pytest.raises(RankError, match=cause), ranks.told(store, 0, 2, limit=5):
        raise RuntimeError("gloo: Connection closed by peer")


def test_a_store_that_is_gone_with_its_host_is_said_to_be():
    class Gone(Store):
        def check(self, keys):
            raise RuntimeError("Connection reset by peer")

    with pytest.raises(RankError, match="the store of the ranks is gone"), ranks.told(Gone(), 0, 2, limit=5):
        raise RuntimeError("gloo: Connection closed by peer")


@pytest.mark.distributed
def test_torchrun_trains_with_the_arguments_of_one_process_and_one_rank_speaks(tmp_path):
    options = ["bundled", "--recipe", "smoke", "--subset", "50", "--epochs", "1", "--device", "cpu", "--quiet"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*torchrun, "-m", "dml_teach", "train", *options, "--out", str(tmp_path / "run")]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=200, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("test set, 4000 images") == 1
    assert (tmp_path / "run" / "weights" / "peer-1.safetensors").exists()
