"""CIFAR-10 and CIFAR-100 from their binary files: what is read, and what is refused."""

import errno
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from dml_teach.data import cifar, sets
from dml_teach.data.cifar import CIFAR10, CIFAR100, Archive
from dml_teach.data.images import content_hashes
from dml_teach.errors import DataError
from tests.data.conftest import RECORDS, class_names, classes, contents, numbered, records


@pytest.fixture(scope="module")
def official(archive, tmp_path_factory) -> Path:
    """A folder with files of the official sizes, black after the first records: sparse files, quick to make."""
    folder = tmp_path_factory.mktemp("data") / archive.folder
    folder.mkdir()
    for name, seed in numbered(archive).items():
        with (folder / name).open("wb") as file:
            file.write(records(archive, seed).tobytes())
            file.truncate(SIZES[name])
    (folder / archive.names_file).write_text("\n".join(class_names(archive)) + "\n")
    return folder


# Of the official files, as their authors' page describes them.
SIZES = {
    **dict.fromkeys([*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"], 30_730_000),
    "train.bin": 153_700_000,
    "test.bin": 30_740_000,
}


@pytest.fixture
def altered(small, tmp_path) -> Path:
    """A folder of small files, sound until a test damages them."""
    folder = tmp_path / small.folder
    folder.mkdir()
    for name, data in contents(small).items():
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture
def test_file(altered, archive) -> Path:
    """The small file with the test images."""
    return altered / next(iter(archive.files["test"]))


@pytest.fixture
def names_file(altered, archive) -> Path:
    """The list of class names beside it."""
    return altered / archive.names_file


@pytest.fixture(params=["records", "names"])
def either_file(request, test_file, names_file) -> Path:
    """The one, then the other."""
    return test_file if request.param == "records" else names_file


@pytest.fixture(scope="module")
def real(shared, tmp_path_factory) -> Iterator[Path]:
    """All of the real images; removed afterwards, since pytest keeps its folders for a while and these are large."""
    target = tmp_path_factory.mktemp("real")
    subprocess.run([sys.executable, shared / "bin" / "unpack-cifar100", target], check=True, capture_output=True)
    yield target
    shutil.rmtree(target)


def refusal(archive: Archive, folder: Path, split: str = "test") -> str:
    """The message with which images are refused: a single line."""
    with pytest.raises(DataError) as caught:
        cifar.load(archive, split, folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- reading ---


@pytest.mark.parametrize(("split", "count"), [("train", 50_000), ("test", 10_000)])
def test_all_images_are_read_as_32_by_32_colour(archive, official, split, count):
    assert cifar.load(archive, split, official).images.shape == (count, 3, 32, 32)


def test_pixels_are_red_then_green_then_blue_row_by_row(archive, official):
    image = cifar.load(archive, "test", official).images[7].numpy()
    assert image.tobytes() == records(archive, seed=len(archive.files["train"]))[7, -3072:].tobytes()


def test_the_label_to_be_learnt_stands_right_before_the_pixels(archive, official):
    count = classes(archive)
    assert cifar.load(archive, "test", official).labels[:count].tolist() == list(range(count))


def test_each_training_file_follows_the_one_before(small, altered):
    training = cifar.load(small, "train", altered)
    tables = np.concatenate([records(small, seed) for seed in range(len(small.files["train"]))])
    assert training.images.numpy().tobytes() == tables[:, -3072:].tobytes()
    assert training.labels.tolist() == tables[:, -3073].tolist()


def test_the_five_training_files_of_cifar10_are_in_the_order_of_their_numbers():
    assert list(CIFAR10.files["train"]) == [f"data_batch_{number}.bin" for number in (1, 2, 3, 4, 5)]


def test_class_names_come_from_the_folder(archive, official):
    assert cifar.load(archive, "test", official).class_names == tuple(class_names(archive))


def test_empty_lines_after_the_class_names_do_not_count(small, altered, names_file):
    assert names_file.read_text().endswith("\n\n")
    assert cifar.load(small, "test", altered).class_names == tuple(class_names(small))


def test_the_pixels_may_not_be_stored(archive, official):
    assert not cifar.load(archive, "test", official).may_store_images


def test_what_the_command_line_knows_unread_is_so(archive, official):
    training, test = sets.load(archive.name, official)
    facts = sets.FACTS[archive.name]
    assert facts[:6] == (training.name, *training.images.shape, training.classes)
    assert test.name == archive.name


def test_the_parent_of_the_folder_will_do(archive, official):
    assert cifar.locate(archive, official.parent) == cifar.locate(archive, official) == official


def test_both_may_lie_in_one_folder_each_in_its_own(tmp_path):
    for each in (CIFAR10, CIFAR100):
        (tmp_path / each.folder).mkdir()
        for name in contents(each):
            (tmp_path / each.folder / name).touch()
    assert [cifar.locate(each, tmp_path).name for each in (CIFAR10, CIFAR100)] == [CIFAR10.folder, CIFAR100.folder]


def test_the_folder_may_have_another_name(small, altered):
    renamed = altered.rename(altered.with_name("my copy"))
    assert len(cifar.load(small, "test", str(renamed))) == RECORDS


def test_the_environment_names_the_folder_when_nobody_else_does(archive, official, monkeypatch):
    monkeypatch.setenv("DML_TEACH_DATA", str(official.parent))
    assert cifar.locate(archive) == official


def test_without_any_name_the_cache_folder_is_used(archive, official, monkeypatch):
    monkeypatch.delenv("DML_TEACH_DATA", raising=False)
    monkeypatch.setattr(cifar.pooch, "os_cache", lambda project: official.parent if project == "dml_teach" else None)
    assert cifar.locate(archive) == official


def test_an_incomplete_folder_is_not_located(small, altered, test_file):
    test_file.unlink()
    assert cifar.locate(small, altered) is None


def test_a_folder_that_can_not_be_entered_is_not_located(small, altered, monkeypatch):
    def locked(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", locked)
    assert cifar.locate(small, altered) is None


def test_reading_the_real_data_gives_the_published_class_names(real):
    assert cifar.load(CIFAR100, "test", real).class_names[:3] == ("apple", "aquarium_fish", "baby")


def test_the_constants_are_those_of_the_real_training_images(real):
    pixels = cifar.load(CIFAR100, "train", real).images.permute(1, 0, 2, 3).flatten(1)
    for channel in range(3):
        share = pixels[channel].bincount(minlength=256).double() / pixels.shape[1]
        level = torch.arange(256).double() / 255
        mean = (share * level).sum()
        assert CIFAR100.mean[channel] == pytest.approx(mean.item(), rel=1e-9)
        assert CIFAR100.std[channel] == pytest.approx((share * (level - mean) ** 2).sum().sqrt().item(), rel=1e-9)


def test_some_real_test_images_stand_among_the_training_images(real):
    training, test = (content_hashes(cifar.load(CIFAR100, split, real).images) for split in CIFAR100.files)
    assert len(set(training) & set(test)) == 10


# --- refusals ---


def test_a_missing_file_is_named_with_the_way_out(small, altered, either_file):
    either_file.unlink()
    assert refusal(small, altered) == f"{either_file}: No such file or directory; {small.way_out}"


def test_the_way_out_is_the_command_for_this_data_set(archive):
    assert f"fetch {archive.title} with `dml-teach train {archive.name} --download`" in archive.way_out


def test_a_missing_folder_is_named_with_the_way_out(archive, tmp_path):
    message = refusal(archive, tmp_path / "nowhere")
    assert message.startswith(str(tmp_path / "nowhere"))
    assert message.endswith(archive.way_out)


def test_a_folder_instead_of_a_file_is_named(small, altered, either_file):
    either_file.unlink()
    either_file.mkdir()
    assert refusal(small, altered).startswith(f"{either_file}: a folder, but a file is expected; ")


@pytest.mark.parametrize("off", ["empty", "one byte", "a record less", "a byte less", "a byte more", "a record more"])
def test_a_file_of_another_size_is_refused_with_both_sizes(small, altered, test_file, off):
    record, right = small.record_bytes, test_file.stat().st_size
    changes = {"a record less": -record, "a byte less": -1, "a byte more": 1, "a record more": record}
    size = {"empty": 0, "one byte": 1}.get(off, right + changes.get(off, 0))
    test_file.write_bytes(test_file.read_bytes()[:size].ljust(size, b"\0"))
    sizes = f"{size} bytes, but the official file has {right}"
    assert refusal(small, altered) == f"{test_file}: {sizes}; {small.way_out}"


def test_the_training_file_of_cifar100_is_not_taken_for_the_test_file(tmp_path):
    with (tmp_path / "test.bin").open("wb") as file:
        file.truncate(SIZES["train.bin"])
    (tmp_path / CIFAR100.names_file).write_text("\n".join(class_names(CIFAR100)))
    assert "153700000 bytes, but the official file has 30740000" in refusal(CIFAR100, tmp_path)


def test_a_label_that_does_not_exist_is_refused_with_its_record(small, altered, test_file):
    for byte, (kind, count) in enumerate(small.labels):
        table = records(small, seed=1)
        table[34, byte] = count
        table.tofile(test_file)
        said = f"{test_file}: record 34, {kind} label {count}, goes beyond {count - 1}; "
        assert refusal(small, altered).startswith(said)


def test_a_fault_in_the_last_training_file_names_that_file(small, altered):
    last = altered / list(small.files["train"])[-1]
    table = records(small, seed=0)
    table[99, 0] = 255
    table.tofile(last)
    assert refusal(small, altered, "train").startswith(f"{last}: record 99, {small.labels[0][0]} label 255, goes ")


@pytest.mark.parametrize("lines", ["one less", "one more", "none", "empty ones"])
def test_a_list_of_another_number_of_names_is_refused(small, altered, names_file, lines):
    known, count = class_names(small), classes(small)
    written = {"one less": known[:-1], "one more": [*known, "more"], "none": [], "empty ones": [""] * count}[lines]
    counted = {"one less": count - 1, "one more": count + 1}.get(lines, 0)
    names_file.write_text("\n".join(written))
    assert refusal(small, altered).startswith(f"{names_file}: {counted} class names, but there are {count}; ")


def test_names_that_are_no_text_are_refused(small, altered, names_file):
    names_file.write_bytes(b"\xff\xfe\n" * 100)
    assert refusal(small, altered).startswith(f"{names_file}: not a text file; ")


def test_a_huge_list_of_names_is_refused_unread(small, altered, names_file):
    names_file.write_text("\n" * 70_000)
    sizes = "70000 bytes, but the official file has at most 65536"
    assert refusal(small, altered).startswith(f"{names_file}: {sizes}; ")


def test_a_file_that_may_not_be_read_is_refused(small, altered, names_file, monkeypatch):
    def locked(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", locked)
    assert refusal(small, altered) == f"{names_file}: Permission denied; {small.way_out}"
