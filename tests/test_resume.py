"""A run that was interrupted and resumed equals one that never stopped, to the bit."""

import pytest
import torch

from dml_teach import checkpoint, models, topology
from dml_teach.cohort import Cohort, Peer
from dml_teach.errors import CheckpointError, DivergedError, RunError
from dml_teach.models.init import initialise
from dml_teach.models.wide_resnet import wide_resnet
from dml_teach.peer import Echo
from dml_teach.trainer import resume, trained_network
from tests.conftest import striped
from tests.resuming import Killed, assert_same, begin


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
        {"peers": ("small",) * 3, "partners": "one", "ema": 0.9},
        {"precision": "bf16", "labelled": 0.3, "label_noise": 0.2},
        {"precision": "fp16", "feature_weight": 0.5},
        {"peers": ("small", Echo(0)), "matrix": topology.self_taught(1), "augment": True},
    ],
    ids=[
        "sequential, augmented",
        "adam",
        "unequal peers, warm-up",
        "random partner, moving average",
        "bf16, few and wrong labels",
        "fp16, features",
        "self-distillation",
    ],
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


def test_dropout_side_by_side_goes_on_since_each_peer_draws_from_its_own_generator(sets, stop_at, tmp_path):
    def peers():
        return [wide_resnet(10, 1, classes=3, channels=1, dropout=0.5) for _ in range(2)]

    def seeded():
        networks = peers()
        for seed, network in enumerate(networks):
            initialise(network, torch.Generator().manual_seed(seed))
        return networks

    whole = begin(tmp_path / "whole", sets, peers=seeded())
    stop_at(5)
    with pytest.raises(Killed):
        begin(tmp_path / "cut", sets, peers=seeded())
    stop_at(0)
    assert_same(resume(tmp_path / "cut", *sets, peers=peers(), progress=False), whole)


def test_a_frozen_teacher_goes_on_teaching(sets, stop_at, tmp_path):
    teacher = trained_network(begin(tmp_path / "teacher", sets, peers=("small",)), 0)
    student = {"peers": (teacher, "small"), "matrix": topology.one_way(2), "frozen": (0,)}
    whole = begin(tmp_path / "whole", sets, **student)
    stop_at(5)
    with pytest.raises(Killed):
        begin(tmp_path / "cut", sets, **student)
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


def test_what_the_killed_process_left_half_written_is_swept(cut, sets, tmp_path):
    whole = begin(tmp_path / "whole", sets)
    for folder in (cut, cut / "checkpoints"):
        (folder / ".metrics.jsonl.0a1b2c3d.partial").write_text("half")
    assert_same(resume(cut, *sets, progress=False), whole)


def test_a_peer_finds_its_momentum_again_and_in_the_memory_format_of_its_parameter():
    def peer():
        network = models.build("small", 3, generator=torch.Generator().manual_seed(0))
        network = network.to(memory_format=torch.channels_last)
        return Peer(network, torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9))

    one, other = peer(), peer()
    images = torch.randn(4, 3, 12, 12, generator=torch.Generator().manual_seed(1))
    one.update(one.predict(images).square().mean())
    other.load_state({name: value.clone().contiguous() for name, value in one.state().items()})
    assert other.state().keys() == one.state().keys()
    for name, value in one.state().items():
        assert torch.equal(other.state()[name], value) and other.state()[name].stride() == value.stride()
    assert any(value.ndim == 4 and not value.is_contiguous() for value in one.state().values())


def test_other_data_or_settings_are_refused_with_the_field_at_fault(cut, sets, train_set):
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


@pytest.mark.parametrize(("seconds", "good"), [(1e9, 3), (0.0, 4)])
def test_a_diverging_run_names_step_and_peer_and_keeps_the_last_good_checkpoint(
    seconds, good, sets, tmp_path, monkeypatch
):
    original, counted = Cohort.step, [0]

    def step(self, images, labels):
        counted[0] += 1
        if counted[0] == 5:
            with torch.no_grad():
                next(self.peers[1].network.parameters()).fill_(float("inf"))
        return original(self, images, labels)

    monkeypatch.setattr(Cohort, "step", step)
    with pytest.raises(DivergedError, match=rf"loss of peer [01] is no finite number at step 5.*step-0000000{good}"):
        begin(tmp_path / "run", sets, checkpoint_seconds=seconds)
    assert checkpoint.latest(tmp_path / "run" / "checkpoints").step == good


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
