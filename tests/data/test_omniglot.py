"""Omniglot as a test of retrieval: how it is divided, and what is refused."""

import zipfile

import numpy as np
import pytest
import torch

from dml_teach.data import omniglot
from dml_teach.data.omniglot import ARRAYS, FILE, WAY_OUT
from dml_teach.errors import ConfigError, DataError

CHARACTERS = 6


def arrays(order=None):
    """A few characters of noise, each by twenty hands, in some order."""
    rng = np.random.default_rng(0)
    count = CHARACTERS * 20
    order = np.arange(count) if order is None else order
    return {
        "x": rng.integers(0, 256, (count, 32, 32), dtype=np.uint8)[order],
        "char": np.arange(CHARACTERS, dtype=np.int16).repeat(20)[order],
        "drawer": np.tile(np.arange(1, 21, dtype=np.int8), CHARACTERS)[order],
        "char_names": np.array([f"Alphabet/character{k:02d}" for k in range(CHARACTERS)]),
    }


def write(folder, **changes):
    np.savez_compressed(folder / FILE, **{**arrays(), **changes})
    return folder


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path)


@pytest.fixture(scope="module")
def real(shared):
    path = shared / "data" / "omniglot"
    if not (path / FILE).is_file():
        pytest.skip(f"{FILE} is not here")
    return path


def refusal(path) -> str:
    with pytest.raises(DataError) as caught:
        omniglot.load(path, held_out=3)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(WAY_OUT)
    return str(caught.value)


def test_half_of_the_real_characters_are_learnt_from_and_half_asked_for(real):
    train, test = omniglot.load(real)
    assert (train.classes, len(train), len(test.query), len(test.gallery)) == (121, 605, 605, 1815)


def test_the_division_of_the_real_characters_stays_as_it_is(real):
    train, _ = omniglot.load(real)
    assert train.class_names[:2] == ("Balinese/character02", "Balinese/character03")


def test_nothing_is_learnt_from_an_unseen_character(folder):
    train, test = omniglot.load(folder, held_out=3)
    names = {name.partition(" by ")[0] for name in (*test.query.names, *test.gallery.names)}
    assert names.isdisjoint(train.class_names)
    assert len(names) == len(train.class_names) == 3


def test_an_identity_is_a_character_and_a_camera_is_a_hand(folder):
    _, test = omniglot.load(folder, held_out=3)
    drawn = arrays()
    known = {x.tobytes(): (c + 1, d) for x, c, d in zip(drawn["x"], drawn["char"], drawn["drawer"], strict=True)}
    for part in (test.query, test.gallery):
        found = zip(part.identities.tolist(), part.cameras.tolist(), strict=True)
        assert [known[image.numpy().tobytes()] for image in part.images] == list(found)


def test_queries_and_gallery_are_by_different_hands(folder):
    _, test = omniglot.load(folder, held_out=3)
    assert test.query.cameras.unique().tolist() == [16, 17, 18, 19, 20]
    assert test.gallery.cameras.unique().tolist() == list(range(1, 16))


def test_training_drawings_are_by_the_first_hands(folder):
    train, _ = omniglot.load(folder, held_out=3, hands=2)
    assert train.labels.bincount().tolist() == [2, 2, 2]


def test_the_order_of_the_file_does_not_decide(folder, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    write(other, **arrays(np.random.default_rng(1).permutation(CHARACTERS * 20)))
    first, second = (omniglot.load(path, held_out=3)[1] for path in (folder, other))
    assert set(first.query.names) == set(second.query.names)


def test_other_drawings_are_divided_otherwise(folder, tmp_path):
    divisions = set()
    for seed in range(4):
        x = np.random.default_rng(seed).integers(0, 256, (CHARACTERS * 20, 32, 32), dtype=np.uint8)
        divisions.add(omniglot.load(write(tmp_path, x=x), held_out=3)[0].class_names)
    assert len(divisions) > 1


def test_images_are_grey_bytes(folder):
    train, test = omniglot.load(folder, held_out=3)
    assert train.images.shape[1:] == test.query.images.shape[1:] == (1, 32, 32)
    assert train.images.dtype == torch.uint8


def test_mean_and_deviation_are_those_of_the_training_images(folder):
    train, test = omniglot.load(folder, held_out=3)
    pixels = train.images.double() / 255
    assert train.mean == test.mean == pytest.approx((pixels.mean().item(),))
    assert train.std == test.std == pytest.approx((pixels.std(correction=0).item(),))


def test_the_file_itself_may_be_named(folder):
    assert len(omniglot.load(folder / FILE, held_out=3)[0]) == 15


def test_without_a_name_it_is_looked_for_where_data_are_kept(folder, monkeypatch):
    monkeypatch.setenv("DML_TEACH_DATA", str(folder))
    assert len(omniglot.load(held_out=3)[0]) == 15


@pytest.mark.parametrize(("field", "value"), [("held_out", 0), ("held_out", 6), ("hands", 0), ("hands", 21)])
def test_numbers_out_of_range_are_refused(folder, field, value):
    with pytest.raises(ConfigError, match=f"{field}: {value}"):
        omniglot.load(folder, **{"held_out": 3, field: value})


def test_a_missing_file_is_named_with_the_way_out(tmp_path):
    assert refusal(tmp_path).startswith(f"{tmp_path / FILE}: No such file")


@pytest.mark.parametrize("name", list(ARRAYS))
def test_a_missing_array_is_refused(tmp_path, name):
    np.savez_compressed(tmp_path / FILE, **{key: value for key, value in arrays().items() if key != name})
    assert "damaged or something else" in refusal(tmp_path)


def test_nothing_is_unpickled(tmp_path):
    assert "damaged or something else" in refusal(write(tmp_path, char_names=np.array([{}] * CHARACTERS, dtype=object)))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("x", np.zeros((CHARACTERS * 20, 32, 31), np.uint8)),
        ("x", np.zeros((0, 32, 32), np.uint8)),
        ("x", np.uint8(3)),
        ("x", np.zeros((CHARACTERS * 20, 32, 32), np.float32)),
        ("char", np.zeros(CHARACTERS * 20, np.int16)),
        ("drawer", np.ones((2, 2), np.int8)),
        ("char_names", np.array(["one"])),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path, field, value):
    refusal(write(tmp_path, **{field: value}))


def test_an_archive_that_unpacks_to_too_much_is_not_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / FILE, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", bytes(1 << 27))
    assert "bytes, more than" in refusal(tmp_path)


@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_file_is_refused_or_read(tmp_path, seed):
    rng = np.random.default_rng(seed)
    data = bytearray(write(tmp_path).joinpath(FILE).read_bytes())
    for place in rng.integers(0, len(data), 1 + seed % 4):
        data[place] = rng.integers(256)
    (tmp_path / FILE).write_bytes(data[: rng.integers(1, len(data))] if seed % 5 == 0 else data)
    try:
        assert len(omniglot.load(tmp_path, held_out=3)[0]) == 15
    except DataError as error:
        assert str(tmp_path / FILE) in str(error)
