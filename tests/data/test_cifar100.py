"""CIFAR-100 from its binary files: what is read, and what is refused."""

import errno
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from dml_teach.data import cifar100
from dml_teach.data.images import content_hashes
from dml_teach.errors import DataError
from tests.data.conftest import NAMES, TEST, contents, records


@pytest.fixture(scope="module")
def official(tmp_path_factory) -> Path:
    """A folder with files of the official sizes, black after the first records: sparse files, quick to make."""
    folder = tmp_path_factory.mktemp("data") / "cifar-100-binary"
    folder.mkdir()
    for seed, (split, count) in enumerate([("train", 50_000), ("test", 10_000)]):
        with (folder / f"{split}.bin").open("wb") as file:
            file.write(records(100, seed).tobytes())
            file.truncate(count * 3074)
    (folder / "fine_label_names.txt").write_text("\n".join(NAMES) + "\n")
    return folder


@pytest.fixture
def altered(small, tmp_path) -> Path:
    """A folder of small files, sound until a test damages them."""
    folder = tmp_path / "cifar-100-binary"
    folder.mkdir()
    for name, data in contents().items():
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def real(shared, tmp_path_factory) -> Iterator[Path]:
    """All of the real images; removed afterwards, since pytest keeps its folders for a while and these are large."""
    target = tmp_path_factory.mktemp("real")
    subprocess.run([sys.executable, shared / "bin" / "unpack-cifar100", target], check=True, capture_output=True)
    yield target
    shutil.rmtree(target)


def refusal(folder: Path) -> str:
    """The message with which the test images are refused: a single line."""
    with pytest.raises(DataError) as caught:
        cifar100.load("test", folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- reading ---


@pytest.mark.parametrize(("split", "count"), [("train", 50_000), ("test", 10_000)])
def test_all_images_are_read_as_32_by_32_colour(official, split, count):
    assert cifar100.load(split, official).images.shape == (count, 3, 32, 32)


def test_pixels_are_red_then_green_then_blue_row_by_row(official):
    image = cifar100.load("test", official).images[7].numpy()
    assert image.tobytes() == records(100, seed=1)[7, 2:].tobytes()


def test_the_fine_label_is_the_second_byte(official):
    assert cifar100.load("test", official).labels[:100].tolist() == list(range(100))


def test_class_names_come_from_the_folder(official):
    assert cifar100.load("test", official).class_names == tuple(NAMES)


def test_the_pixels_may_not_be_stored(official):
    assert not cifar100.load("test", official).may_store_images


def test_the_parent_of_the_folder_will_do(official):
    assert cifar100.locate(official.parent) == cifar100.locate(official) == official


def test_the_folder_may_have_another_name(altered):
    renamed = altered.rename(altered.with_name("my copy"))
    assert len(cifar100.load("test", str(renamed))) == TEST


def test_the_environment_names_the_folder_when_nobody_else_does(official, monkeypatch):
    monkeypatch.setenv("DML_TEACH_DATA", str(official.parent))
    assert cifar100.locate() == official


def test_without_any_name_the_cache_folder_is_used(official, monkeypatch):
    monkeypatch.delenv("DML_TEACH_DATA", raising=False)
    monkeypatch.setattr(cifar100.pooch, "os_cache", lambda project: official.parent if project == "dml_teach" else None)
    assert cifar100.locate() == official


def test_an_incomplete_folder_is_not_located(altered):
    (altered / "test.bin").unlink()
    assert cifar100.locate(altered) is None


def test_a_folder_that_can_not_be_entered_is_not_located(altered, monkeypatch):
    def locked(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", locked)
    assert cifar100.locate(altered) is None


def test_reading_the_real_data_gives_the_published_class_names(real):
    assert cifar100.load("test", real).class_names[:3] == ("apple", "aquarium_fish", "baby")


def test_the_constants_are_those_of_the_real_training_images(real):
    pixels = cifar100.load("train", real).images.permute(1, 0, 2, 3).flatten(1)
    for channel in range(3):
        share = pixels[channel].bincount(minlength=256).double() / pixels.shape[1]
        level = torch.arange(256).double() / 255
        mean = (share * level).sum()
        assert cifar100.MEAN[channel] == pytest.approx(mean.item(), rel=1e-9)
        assert cifar100.STD[channel] == pytest.approx((share * (level - mean) ** 2).sum().sqrt().item(), rel=1e-9)


def test_some_real_test_images_stand_among_the_training_images(real):
    training, test = (content_hashes(cifar100.load(split, real).images) for split in cifar100.RECORDS)
    assert len(set(training) & set(test)) == 10


# --- refusals ---


@pytest.mark.parametrize("name", ["test.bin", "fine_label_names.txt"])
def test_a_missing_file_is_named_with_the_way_out(altered, name):
    (altered / name).unlink()
    assert refusal(altered) == f"{altered / name}: No such file or directory; {cifar100.WAY_OUT}"


def test_a_missing_folder_is_named_with_the_way_out(tmp_path):
    message = refusal(tmp_path / "nowhere")
    assert message.startswith(str(tmp_path / "nowhere"))
    assert message.endswith(cifar100.WAY_OUT)


@pytest.mark.parametrize("name", ["test.bin", "fine_label_names.txt"])
def test_a_folder_instead_of_a_file_is_named(altered, name):
    (altered / name).unlink()
    (altered / name).mkdir()
    assert refusal(altered).startswith(f"{altered / name}: a folder, but a file is expected; ")


@pytest.mark.parametrize("size", [0, 1, TEST * 3074 - 3074, TEST * 3074 - 1, TEST * 3074 + 1, TEST * 3074 + 3074])
def test_a_file_of_another_size_is_refused_with_both_sizes(altered, size):
    where = altered / "test.bin"
    where.write_bytes(where.read_bytes()[:size].ljust(size, b"\0"))
    sizes = f"{size} bytes, but the official file has {TEST * 3074}"
    assert refusal(altered) == f"{where}: {sizes}; {cifar100.WAY_OUT}"


def test_the_training_file_is_not_taken_for_the_test_file(official, tmp_path):
    (tmp_path / "fine_label_names.txt").symlink_to(official / "fine_label_names.txt")
    (tmp_path / "test.bin").symlink_to(official / "train.bin")
    assert "153700000 bytes, but the official file has 30740000" in refusal(tmp_path)


@pytest.mark.parametrize(("byte", "kind", "classes"), [(0, "coarse", 20), (1, "fine", 100)])
def test_a_label_that_does_not_exist_is_refused_with_its_record(altered, byte, kind, classes):
    where, table = altered / "test.bin", records(TEST, seed=1)
    table[34, byte] = classes
    table.tofile(where)
    assert refusal(altered).startswith(f"{where}: record 34, {kind} label {classes}, goes beyond {classes - 1}; ")


@pytest.mark.parametrize(
    ("lines", "counted"), [(NAMES[:-1], 99), ([*NAMES, "one more"], 101), ([], 0), ([""] * 100, 0)]
)
def test_a_list_of_another_number_of_names_is_refused(altered, lines, counted):
    (altered / "fine_label_names.txt").write_text("\n".join(lines))
    expected = f"{altered / 'fine_label_names.txt'}: {counted} class names, but there are 100; "
    assert refusal(altered).startswith(expected)


def test_names_that_are_no_text_are_refused(altered):
    (altered / "fine_label_names.txt").write_bytes(b"\xff\xfe\n" * 100)
    assert "fine_label_names.txt: not a text file; " in refusal(altered)


def test_a_huge_list_of_names_is_refused_unread(altered):
    (altered / "fine_label_names.txt").write_text("\n" * 70_000)
    assert "fine_label_names.txt: 70000 bytes, but the official file has at most 65536; " in refusal(altered)


def test_a_file_that_may_not_be_read_is_refused(altered, monkeypatch):
    def locked(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", locked)
    assert refusal(altered) == f"{altered / 'fine_label_names.txt'}: Permission denied; {cifar100.WAY_OUT}"
