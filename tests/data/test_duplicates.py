"""Byte-identical images, held to a comparison of every image with every other."""

import itertools
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dml_teach.data import cifar, duplicates
from dml_teach.data.images import ImageSet, content_hashes

RECORDED = Path(__file__).resolve().parents[2] / "book" / "recordings" / "duplicates" / "cifar100.json"


def images(values, labels):
    """One image of four equal pixels for each value."""
    pixels = torch.tensor(values, dtype=torch.uint8).reshape(-1, 1, 1, 1).expand(-1, 1, 2, 2).contiguous()
    return ImageSet(pixels, torch.tensor(labels), ("seal", "otter"), "made-up", (0.5,), (0.5,), True)


def slow_groups(files):
    """By comparing everything with everything: sets of (file, index)."""
    places = [(name, i) for name, data in files.items() for i in range(len(data))]
    same = {
        place: frozenset(
            other for other in places if torch.equal(files[place[0]].images[place[1]], files[other[0]].images[other[1]])
        )
        for place in places
    }
    return {group for group in same.values() if len(group) > 1}


def test_copies_are_found_across_files_with_their_labels():
    found = duplicates.find({"train": images([1, 2, 1], [0, 1, 1]), "test": images([2, 3], [1, 0])})
    first, second = found
    assert first.copies == (("train", 0, "seal"), ("train", 2, "otter"))
    assert second.copies == (("train", 1, "otter"), ("test", 0, "otter"))
    assert (first.conflict, second.conflict) == (True, False)
    assert (first.files, second.files) == ({"train"}, {"train", "test"})
    assert first.sha256 == content_hashes(images([1], [0]).images)[0]


def test_an_image_without_a_label_conflicts_with_one_that_has_one():
    (twins,) = duplicates.find({"train": images([5, 5], [-1, 1])})
    assert twins.copies[0].label == ""
    assert twins.conflict


def test_images_that_are_all_different_have_no_twins():
    assert duplicates.find({"train": images([1, 2, 3], [0, 0, 0])}) == []


@given(st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=6), min_size=1, max_size=3))
def test_groups_are_those_of_comparing_everything_with_everything(values):
    files = {str(n): images(of, [0] * len(of)) for n, of in enumerate(values)}
    found = {frozenset((copy.file, copy.place) for copy in twins.copies) for twins in duplicates.find(files)}
    assert found == slow_groups(files)


def test_the_recorded_twins_of_cifar100_are_what_the_data_hold(shared, tmp_path):
    subprocess.run([sys.executable, str(shared / "bin" / "unpack-cifar100"), str(tmp_path)], check=True)
    found = duplicates.find({part: cifar.load(cifar.CIFAR100, part, tmp_path) for part in ("train", "test")})
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))["twins"]
    assert [(t.sha256, [copy._asdict() for copy in t.copies]) for t in found] == [
        (twins["sha256"], twins["copies"]) for twins in recorded
    ]


@pytest.mark.parametrize(
    "twins", json.loads(RECORDED.read_text(encoding="utf-8"))["twins"], ids=lambda t: t["sha256"][:8]
)
def test_a_recorded_image_has_copies_and_no_pixels(twins):
    assert set(twins) == {"sha256", "copies"}
    assert len(twins["copies"]) > 1
    for a, b in itertools.pairwise(twins["copies"]):
        assert (a["file"], a["place"]) != (b["file"], b["place"])
