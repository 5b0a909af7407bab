"""The bundled slice of Fashion-MNIST, and its cutting from the original files."""

import hashlib
import importlib.util
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from dml_teach.data import bundled
from dml_teach.data.images import by_hash, content_hashes
from dml_teach.errors import DataError

TOOL = Path(__file__).resolve().parents[2] / "tools" / "cut_fashion_mnist.py"
SPLITS = [("train", 2_000), ("test", 4_000)]


@pytest.fixture(scope="module")
def cutter():
    """The cutting tool as a module: tools/ is a folder of scripts, not a package."""
    spec = importlib.util.spec_from_file_location("cut_fashion_mnist", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def originals(shared) -> Path:
    return shared / "data" / "fashion-mnist"


@pytest.fixture
def slice_at(tmp_path, monkeypatch) -> Path:
    """A copy of the packaged file for the loader to read, which a test may damage."""
    copy = tmp_path / "slice.npz"
    copy.write_bytes(bundled.SLICE.read_bytes())
    monkeypatch.setattr(bundled, "SLICE", copy)
    return copy


@pytest.mark.parametrize(("split", "count"), SPLITS)
def test_the_slice_holds_grey_images_of_28_by_28(split, count):
    assert bundled.load(split).images.shape == (count, 1, 28, 28)


@pytest.mark.parametrize(("split", "count"), SPLITS)
def test_the_slice_is_class_balanced(split, count):
    assert bundled.load(split).labels.bincount().tolist() == [count // 10] * 10


def test_no_image_is_both_a_training_and_a_test_image():
    training, test = (content_hashes(bundled.load(split).images) for split, _ in SPLITS)
    assert not set(training) & set(test)


def test_both_splits_carry_the_training_constants():
    training, test = (bundled.load(split) for split, _ in SPLITS)
    assert (training.mean, training.std) == (test.mean, test.std)
    assert training.mean == pytest.approx((0.2860,), abs=1e-4)
    assert training.std == pytest.approx((0.3530,), abs=1e-4)


def test_the_images_may_be_stored():
    assert bundled.load("test").may_store_images


def test_an_ankle_boot_is_class_9():
    assert bundled.load("train").class_names[9] == "Ankle boot"


def test_the_file_stays_small():
    assert bundled.SLICE.stat().st_size < 3_000_000


def test_the_licence_is_beside_the_file():
    text = bundled.SLICE.with_suffix(".LICENSE").read_text(encoding="utf-8")
    assert "Zalando SE" in text
    assert "Permission is hereby granted, free of charge" in text


def test_a_damaged_file_is_refused(slice_at):
    content = bytearray(slice_at.read_bytes())
    content[len(content) // 2] ^= 1
    slice_at.write_bytes(content)
    with pytest.raises(DataError, match=r"slice\.npz: not the file that was packaged .* install dml_teach again$"):
        bundled.load("train")


def test_a_missing_file_is_refused(slice_at):
    slice_at.unlink()
    with pytest.raises(DataError, match=r"slice\.npz: cannot be read .* install dml_teach again$"):
        bundled.load("train")


# --- the cutting tool ---


def test_cutting_again_gives_the_packaged_file_byte_for_byte(cutter, originals, tmp_path, monkeypatch):
    target = tmp_path / "again.npz"
    monkeypatch.setattr(sys, "argv", ["cut_fashion_mnist", str(originals), "--out", str(target)])
    cutter.main()
    assert target.read_bytes() == bundled.SLICE.read_bytes()


def test_each_image_of_the_slice_is_the_original_of_its_index(cutter, originals):
    with np.load(bundled.SLICE, allow_pickle=False) as arrays:
        for split, (stem, _) in cutter.SPLITS.items():
            original = cutter.read_split(originals, stem).take(
                torch.from_numpy(arrays[f"{split}_index"].astype(np.int64))
            )
            assert torch.equal(original.images, bundled.load(split).images)
            assert torch.equal(original.labels, bundled.load(split).labels)


def test_the_slice_has_the_smallest_hashes_of_each_class(cutter, originals):
    original, ours = cutter.read_split(originals, "train"), bundled.load("train")
    for label in range(10):
        smallest = sorted(content_hashes(original.images[original.labels == label]))[:200]
        assert sorted(content_hashes(ours.images[ours.labels == label])) == smallest


def test_the_constants_are_those_of_the_whole_training_set(cutter, originals):
    pixels = cutter.read_split(originals, "train").images.double() / 255
    ours = bundled.load("train")
    assert ours.mean[0] == pytest.approx(pixels.mean().item(), rel=1e-9)
    assert ours.std[0] == pytest.approx(pixels.std(correction=0).item(), rel=1e-9)


def test_two_writings_of_the_same_arrays_are_byte_identical(cutter, tmp_path):
    arrays = {"some": np.arange(5), "more": np.zeros((2, 3), np.uint8)}
    for name in ("one", "other"):
        cutter.write(arrays, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_the_written_file_does_not_tell_the_time(cutter, tmp_path):
    cutter.write({"some": np.arange(5)}, tmp_path / "file")
    with zipfile.ZipFile(tmp_path / "file") as archive:
        assert [entry.date_time[0] for entry in archive.infolist()] == [1980]


def test_an_altered_original_is_refused(cutter, tmp_path):
    path = tmp_path / "train-labels-idx1-ubyte.gz"
    path.write_bytes(b"not the labels")
    with pytest.raises(DataError, match=r"train-labels-idx1-ubyte\.gz: not the original file"):
        cutter.read_original(path)


def test_the_tool_says_in_one_line_that_an_original_is_missing(cutter, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["cut_fashion_mnist", str(tmp_path), "--out", str(tmp_path / "out.npz")])
    with pytest.raises(SystemExit, match=r"train-images-idx3-ubyte\.gz: cannot be read .* original files$"):
        cutter.main()


def test_the_packaged_hash_is_the_one_the_loader_expects():
    assert hashlib.sha256(bundled.SLICE.read_bytes()).hexdigest() == bundled.SHA256


def test_the_slice_is_the_class_balanced_prefix_by_hash(cutter, originals):
    original = cutter.read_split(originals, "t10k")
    expected = content_hashes(original.images[by_hash(original)[:4_000]])
    assert sorted(content_hashes(bundled.load("test").images)) == sorted(expected)
