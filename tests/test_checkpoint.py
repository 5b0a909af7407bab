"""One file per checkpoint: whole, or passed over."""

import errno
import json
import pickle
import warnings
from pathlib import Path

import pytest
import torch

from dml_teach import checkpoint
from dml_teach.checkpoint import latest, read, save
from dml_teach.errors import CheckpointError

FACTS = {"epoch": 2, "seconds": 0.1, "config": {"recipe": {"name": "test"}}, "digests": ["ab"]}


def tensors(seed=0):
    random = torch.Generator().manual_seed(seed)
    return {
        "weight": torch.randn(2, 3, 4, 4, generator=random).to(memory_format=torch.channels_last),
        "half": torch.randn(5, generator=random).bfloat16(),
        "double": torch.randn(3, generator=random, dtype=torch.float64),
        "count": torch.tensor(7),
        "state": random.get_state(),
        "flags": torch.tensor([True, False]),
        "nothing": torch.empty(0, 3),
        "not a number": torch.tensor([float("nan"), float("inf"), -0.0]),
    }


def same_bytes(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and bytes(a.reshape(-1).view(torch.uint8)) == bytes(
        b.contiguous().reshape(-1).view(torch.uint8)
    )  # fmt: skip


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_was_saved_is_what_is_read(tmp_path):
    path = save(tmp_path, 12, tensors(), FACTS)
    found = latest(tmp_path)
    assert (found.path, found.step, found.facts) == (path, 12, FACTS)
    assert found.tensors.keys() == tensors().keys()
    assert all(same_bytes(found.tensors[name], tensor) for name, tensor in tensors().items())


def test_tensors_may_share_memory(tmp_path):
    tied = torch.ones(3)
    save(tmp_path, 0, {"a": tied, "b": tied, "c": tied[1:]}, {})
    assert torch.equal(latest(tmp_path).tensors["c"], torch.ones(2))


def test_a_tensor_may_need_gradients(tmp_path):
    save(tmp_path, 0, {"a": torch.nn.Parameter(torch.ones(3))}, {})
    assert not latest(tmp_path).tensors["a"].requires_grad


def test_the_last_two_are_kept_in_the_order_of_their_steps(tmp_path):
    for step in (0, 5, 100_000_000, 100_000_001):
        save(tmp_path, step, {}, {})
    assert [path.name for path in checkpoint.files(tmp_path)] == [
        "step-100000000.safetensors",
        "step-100000001.safetensors",
    ]
    assert latest(tmp_path).step == 100_000_001


def test_a_step_can_be_saved_again(tmp_path):
    for facts in ({"epoch": 0}, {"epoch": 1}):
        save(tmp_path, 3, {}, facts)
    assert latest(tmp_path).facts == {"epoch": 1} and len(names(tmp_path)) == 1


def test_other_files_are_left_alone_but_half_written_ones_are_swept(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "step-00000001.safetensors.bak").write_text("mine")
    (tmp_path / ".step-00000002.safetensors.0a1b2c3d.partial").write_text("half")
    save(tmp_path, 3, {}, {})
    assert names(tmp_path) == ["notes.txt", "step-00000001.safetensors.bak", "step-00000003.safetensors"]


def test_nothing_is_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("unpickled",))

    path = tmp_path / "step-00000001.safetensors"
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(CheckpointError, match=path.name):
        latest(tmp_path)


def test_a_damaged_file_gives_way_to_the_one_before_with_a_warning_that_names_it(tmp_path):
    save(tmp_path, 3, {}, {})
    newest = save(tmp_path, 5, {}, {})
    newest.write_bytes(b"")
    with pytest.warns(checkpoint.CheckpointWarning, match=r"step-00000005.*damaged.*from step 3"):
        assert latest(tmp_path).step == 3


def test_a_good_newest_file_warns_of_nothing(tmp_path):
    save(tmp_path, 3, {}, {}).write_bytes(b"")
    save(tmp_path, 5, {}, {})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert latest(tmp_path).step == 5


def test_a_damaged_later_file_makes_room_and_the_good_one_stays(tmp_path):
    """Steps that have to be trained again must not count the damaged file among the two that are kept."""
    for step in (3, 5):
        save(tmp_path, step, {}, {})
    (tmp_path / "step-00000005.safetensors").write_bytes(b"")
    save(tmp_path, 4, {}, {})
    assert [path.name for path in checkpoint.files(tmp_path)] == [
        "step-00000003.safetensors",
        "step-00000004.safetensors",
    ]


def test_without_a_good_file_every_damaged_one_is_named(tmp_path):
    for step in (3, 5):
        save(tmp_path, step, {}, {}).write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"step-00000005.*step-00000003"):
        latest(tmp_path)


@pytest.mark.parametrize("made", [True, False])
def test_a_folder_without_checkpoints_says_so(made, tmp_path):
    folder = tmp_path if made else tmp_path / "nowhere"
    with pytest.raises(CheckpointError, match=f"{folder} holds no checkpoint"):
        latest(folder)


def test_a_file_renamed_to_another_step_is_not_believed(tmp_path):
    save(tmp_path, 3, {}, {}).rename(tmp_path / "step-00000004.safetensors")
    with pytest.raises(CheckpointError, match="SHA-256"):
        latest(tmp_path)


def rewritten(path, change):
    """Change the header of a safetensors file, and write the file as its format wants it."""
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    change(header)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[end:])


def swap(header):
    header["a"], header["b"] = header["b"], header["a"]


def rename(header):
    header["aa"] = header.pop("a")  # the order of the names stays


def reshape(header):
    header["a"]["shape"] = [3, 2]


def retype(header):
    header["a"]["dtype"] = "I32"


def change_fact(header):
    header["__metadata__"]["facts"] = json.dumps({"epoch": 1})


def unnumbered(header):
    del header["__metadata__"]["format"]


def of_the_first_format(header):
    header["__metadata__"]["format"] = "1"


@pytest.mark.parametrize("change", [unnumbered, of_the_first_format])
def test_a_checkpoint_of_another_version_is_refused_with_the_way_out(change, tmp_path):
    rewritten(save(tmp_path, 3, {"a": torch.ones(2)}, FACTS), change)
    with pytest.raises(CheckpointError, match=r"step-00000003.* by another version of dml_teach: go on with that one"):
        latest(tmp_path)


@pytest.mark.parametrize("change", [swap, rename, reshape, retype, change_fact])
def test_a_well_formed_file_with_other_contents_is_not_believed(change, tmp_path):
    path = save(tmp_path, 3, {"a": torch.ones(2, 3), "b": torch.zeros(2, 3)}, {"epoch": 0})
    rewritten(path, lambda header: None)
    assert read(path).facts == {"epoch": 0}
    rewritten(path, change)
    with pytest.raises(CheckpointError, match="SHA-256"):
        read(path)


def test_a_full_disk_leaves_the_older_files_and_no_half_one(tmp_path, monkeypatch):
    save(tmp_path, 3, tensors(), FACTS)
    opened = Path.open
    monkeypatch.setattr(Path, "open", lambda self, *arguments: Full(opened(self, *arguments)))
    with pytest.raises(CheckpointError, match=r"step-00000005.*No space left.*resume") as caught:
        save(tmp_path, 5, tensors(), FACTS)
    assert "\n" not in str(caught.value)
    monkeypatch.undo()
    assert names(tmp_path) == ["step-00000003.safetensors"] and latest(tmp_path).step == 3


class Full:
    """A file on a disk that has room for half of it, which says no more than a real one: no file name."""

    def __init__(self, file):
        self.file = file

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def write(self, content):
        self.file.write(content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")


def test_discarding_removes_the_folder_and_may_be_repeated(tmp_path):
    save(tmp_path / "checkpoints", 3, {}, {})
    for _ in range(2):
        checkpoint.discard(tmp_path / "checkpoints")
    assert names(tmp_path) == []
