"""Market-1501's layout: what is read from a folder or an archive, what is kept, and what is refused."""

import json
import os

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from dml_teach.data import market1501, prepared
from dml_teach.data.market1501 import BOXES, FOLDERS, GALLERY, MARKET1501, QUERY, TRAIN
from dml_teach.data.prepared import CONTENTS
from dml_teach.errors import ConfigError, DataError
from tests.data import markets
from tests.data.markets import EXPECTED, SIZE, TOP


@pytest.fixture
def folder(tmp_path):
    return markets.write_folder(tmp_path / TOP, markets.files())


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / f"{TOP}.zip"
    path.write_bytes(markets.zipped(markets.files()))
    return path


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def load(root, cache, **changes):
    return market1501.load(root, size=SIZE, expected=EXPECTED._replace(**changes), cache=cache)


def refusal(root, cache, **changes) -> str:
    """The message with which a data set is refused: a single line, and nothing is left behind."""
    with pytest.raises(DataError) as caught:
        load(root, cache, **changes)
    assert "\n" not in str(caught.value)
    assert not cache.exists() or list(cache.iterdir()) == []
    return str(caught.value)


def replaced(folder, part, old, new):
    (folder / part / old).rename(folder / part / new)
    return str(folder / part / new)


# --- what the real set is held against ---


def test_the_official_numbers():
    assert MARKET1501[1:8] == (12_936, 751, 3_368, 750, 19_732, 2_798, 3_819)
    assert MARKET1501.gallery - MARKET1501.distractors - MARKET1501.junk == 13_115


def test_whoever_claims_to_be_market1501_is_held_against_the_official_numbers(folder, cache):
    with pytest.raises(DataError, match=f"6 images in {TRAIN}, but market1501 has 12936; unpack"):
        market1501.load(folder, cache=cache)


# --- reading ---


def test_training_labels_count_the_identities_in_ascending_order(folder, cache):
    train, _ = load(folder, cache)
    assert train.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert train.class_names == ("0002", "0004", "0007")


def test_query_identities_and_cameras_come_from_the_names(folder, cache):
    query = load(folder, cache)[1].query
    assert query.identities.tolist() == [1, 1, 3, 3]
    assert query.cameras.tolist() == [1, 6, 1, 6]


def test_the_gallery_holds_distractors_and_junk(folder, cache):
    gallery = load(folder, cache)[1].gallery
    assert gallery.identities.tolist() == [-1, 0, 0, 1, 1, 1, 1, 3, 3, 3, 3]


def test_the_training_images_are_there_with_their_cameras(folder, cache):
    train, _ = load(folder, cache)
    known = market1501.training(folder, size=SIZE, expected=EXPECTED, cache=cache)
    assert known.identities.tolist() == [2, 2, 4, 4, 7, 7]
    assert known.cameras.tolist() == [1, 2] * 3
    assert known.images.equal(train.images)


def test_images_are_sorted_by_name(folder, cache):
    _, test = load(folder, cache)
    assert list(test.gallery.names) == sorted(markets.names()[GALLERY])


def test_a_png_is_read_as_it_is(folder, cache):
    name = markets.names()[QUERY][0]
    (folder / QUERY / name).write_bytes(markets.png(77))
    assert load(folder, cache)[1].query.images[0].equal(markets.noise(77))


def test_a_picture_of_another_size_is_resized(folder, cache):
    name = markets.names()[QUERY][0]
    (folder / QUERY / name).write_bytes(markets.png(77, (64, 40)))
    wide = markets.noise(77, (64, 40))[None].double()
    wanted = interpolate(wide, size=SIZE, mode="bilinear", antialias=True)[0]
    assert (load(folder, cache)[1].query.images[0] - wanted).abs().max() <= 1


def test_boxes_drawn_by_hand_are_those_of_a_query_by_its_camera(folder, cache):
    query, boxes = (getattr(load(folder, cache)[1], part) for part in ("query", "multi_query"))
    asked = set(zip(query.identities.tolist(), query.cameras.tolist(), strict=True))
    found = list(zip(boxes.identities.tolist(), boxes.cameras.tolist(), strict=True))
    assert set(found) == asked
    assert len(found) == 6  # one each, and a second one by camera 1


def test_without_boxes_drawn_by_hand_there_is_no_multi_query(folder, cache):
    for path in (folder / BOXES).iterdir():
        path.unlink()
    (folder / BOXES).rmdir()
    assert load(folder, cache)[1].multi_query is None


def test_mean_and_deviation_are_those_of_the_training_images(folder, cache):
    train, test = load(folder, cache)
    pixels = train.images.double().permute(1, 0, 2, 3).flatten(1) / 255
    assert train.mean == test.mean == pytest.approx(pixels.mean(dim=1).tolist(), rel=1e-12)
    assert train.std == test.std == pytest.approx(pixels.std(dim=1, correction=0).tolist(), rel=1e-12)


def test_the_pixels_may_not_be_stored(folder, cache):
    train, test = load(folder, cache)
    assert not train.may_store_images
    assert not test.may_store_images


def test_the_parent_of_the_folder_will_do(folder, cache):
    assert load(folder.parent, cache)[0].images.equal(load(folder, cache)[0].images)


def test_an_archive_reads_as_its_folder_does(folder, archive, tmp_path):
    parts = [load(root, tmp_path / f"cache-{root.suffix}")[1] for root in (folder, archive)]
    for part in ("query", "gallery", "multi_query"):
        first, second = (getattr(found, part) for found in parts)
        assert first.images.equal(second.images)
        assert first.names == second.names


@pytest.mark.parametrize("top", ["", "a/b/c/"])
def test_an_archive_may_hold_the_folders_at_any_depth(tmp_path, cache, top):
    path = tmp_path / "some.zip"
    path.write_bytes(markets.zipped(markets.files(), top))
    assert len(load(path, cache)[0]) == 6


@pytest.mark.parametrize("name", ["Thumbs.db", ".DS_Store", "readme.txt", "._0002_c1s1_000021_00.jpg"])
def test_what_is_no_image_is_passed_over(folder, cache, name):
    (folder / TRAIN / name).write_bytes(b"something else")
    assert len(load(folder, cache)[0]) == 6


def test_other_folders_are_passed_over(folder, cache):
    markets.write_folder(folder, {"gt_query/0001_c1s1_001051_00_good.mat": b"x", "code/run.jpg": b"y"})
    assert len(load(folder, cache)[0]) == 6


@pytest.mark.parametrize("name", ["0002_c1s1_000021_00.JPG", "0002_c1s1_000021_00.jpg.jpg", "0002_c1s1_000021_00.png"])
def test_a_name_may_end_in_these_ways(folder, cache, name):
    replaced(folder, TRAIN, "0002_c1s1_000021_00.jpg", name)
    assert load(folder, cache)[0].class_names[0] == "0002"


def test_only_the_base_name_counts(tmp_path, cache):
    root = markets.write_folder(tmp_path / "0009_c9s9_000000_00.jpg", markets.files())
    assert load(root, cache)[1].query.identities.tolist() == [1, 1, 3, 3]


# --- what is kept ---


def test_images_are_decoded_once(folder, cache, monkeypatch):
    first = load(folder, cache)[0].images.clone()
    monkeypatch.setattr(prepared, "decode", None)
    assert load(folder, cache)[0].images.equal(first)


def test_images_are_mapped_into_memory_and_not_read(folder, cache, monkeypatch):
    modes = []
    original = np.load
    monkeypatch.setattr(
        np, "load", lambda *a, **k: modes.append((k["mmap_mode"], k["allow_pickle"])) or original(*a, **k)
    )
    load(folder, cache)
    assert {pickle for _, pickle in modes} == {False}
    assert None not in {mode for mode, _ in modes}


def test_writing_into_the_images_leaves_the_file_alone(folder, cache):
    train, _ = load(folder, cache)
    first = train.images.clone()
    train.images.zero_()
    assert load(folder, cache)[0].images.equal(first)


def test_after_preparing_no_source_is_needed(archive, cache):
    market1501.prepare(archive, cache, size=SIZE, expected=EXPECTED)
    archive.unlink()
    assert len(load(None, cache)[1].gallery) == 11


def test_preparing_tells_what_was_found(archive, cache):
    text = market1501.prepare(archive, cache, size=SIZE, expected=EXPECTED)
    assert "bounding_box_test      11 images,    2 people, 6 cameras, 2 distractors, 1 junk" in text
    assert str(cache) in text


def test_the_environment_names_the_cache(archive, tmp_path, monkeypatch):
    monkeypatch.setenv("DML_TEACH_DATA", str(tmp_path / "named"))
    load(archive, None)
    assert (tmp_path / "named" / "market1501-16x8" / CONTENTS).is_file()


def test_without_anything_prepared_the_way_out_is_named(cache):
    assert refusal(None, cache).endswith("no prepared images (contents.json is missing); bring the right one")


def test_a_changed_picture_is_read_again(folder, cache):
    load(folder, cache)
    path = folder / QUERY / markets.names()[QUERY][0]
    path.write_bytes(markets.png(77))
    os.utime(path, ns=(1, 1))
    assert load(folder, cache)[1].query.images[0].equal(markets.noise(77))


@pytest.mark.parametrize("size", [(16, 8), (20, 10)])
def test_each_size_is_kept_by_itself(folder, cache, size):
    load(folder, cache)
    train, _ = market1501.load(folder, size=size, expected=EXPECTED, cache=cache)
    assert train.images.shape == (6, 3, *size)


def damage(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("name", [f"{TRAIN}.npy", f"{GALLERY}.npy", CONTENTS])
@pytest.mark.parametrize("harm", [damage, lambda path: path.write_bytes(b""), lambda path: path.unlink()])
def test_damaged_arrays_are_made_again(folder, cache, name, harm):
    first = load(folder, cache)[1].gallery.images.clone()
    harm(cache / "market1501-16x8" / name)
    assert load(folder, cache)[1].gallery.images.equal(first)


def test_altered_contents_are_noticed(folder, cache):
    load(folder, cache)
    path = cache / "market1501-16x8" / CONTENTS
    stored = json.loads(path.read_text())
    stored["contents"]["parts"][QUERY]["names"][0] = "0003_c1s1_000501_00.jpg"
    path.write_text(json.dumps(stored))
    with pytest.raises(DataError, match=r"contents\.json was altered"):
        load(None, cache)


def test_a_failure_leaves_what_was_prepared_before(folder, cache):
    load(folder, cache)
    (folder / QUERY / markets.names()[QUERY][0]).write_bytes(b"")
    with pytest.raises(DataError):
        load(folder, cache)
    assert [path.name for path in cache.iterdir()] == ["market1501-16x8"]
    assert len(load(None, cache)[0]) == 6


def test_a_cache_that_can_not_be_written_is_named(folder, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="cannot be written"):
        load(folder, tmp_path / "file" / "cache")


# --- refusals ---


@pytest.mark.parametrize("part", [TRAIN, GALLERY, QUERY])
def test_a_missing_folder_is_named(folder, cache, part):
    (folder / part).rename(folder / "elsewhere")
    message = refusal(folder, cache)
    assert part in message
    assert message.endswith("; bring the right one")


def test_nothing_at_all_is_named(tmp_path, cache):
    assert refusal(tmp_path / "nowhere", cache).startswith(f"{tmp_path / 'nowhere'}: neither a folder nor a file")


@pytest.mark.parametrize(
    "name",
    [
        "2_c1s1_000021_00.jpg",
        "-2_c1s1_000021_00.jpg",
        "0002_c1_000021_00.jpg",
        "0002_c1s1_21_00.jpg",
        "0002_c1s1_000021_00.gif.jpg",
        "0002_c1s1_000021_00 (1).jpg",
        "٠٠٠٢_c1s1_000021_00.jpg",
        "portrait.jpg",
    ],
)
def test_a_name_of_another_form_is_refused(folder, cache, name):
    path = replaced(folder, TRAIN, "0002_c1s1_000021_00.jpg", name)
    assert refusal(folder, cache).startswith(f"{path}: not a name like")


@pytest.mark.parametrize("camera", [0, 7])
def test_a_camera_that_does_not_exist_is_refused(folder, cache, camera):
    path = replaced(folder, TRAIN, "0002_c1s1_000021_00.jpg", f"0002_c{camera}s1_000021_00.jpg")
    assert refusal(folder, cache).startswith(f"{path}: camera {camera}, but there are cameras 1 to 6")


@pytest.mark.parametrize(("part", "name"), [(TRAIN, "0002_c1s1_000021_00.jpg"), (QUERY, "0001_c1s1_000501_00.jpg")])
@pytest.mark.parametrize(("number", "kind"), [("0000", "a distractor"), ("-1", "junk")])
def test_nobody_is_trained_on_or_asked_for_without_being_somebody(folder, cache, part, name, number, kind):
    path = replaced(folder, part, name, number + name[4:])
    assert refusal(folder, cache).startswith(f"{path}: {kind}, which has no place in {part}")


@pytest.mark.parametrize("part", [QUERY, GALLERY])
def test_a_person_of_the_training_images_is_not_to_be_found_in_the_test(folder, cache, part):
    name = next(name for name in markets.names()[part] if name.startswith("0001"))
    path = replaced(folder, part, name, "0004" + name[4:])
    assert refusal(folder, cache).startswith(f"{path}: this person is in {TRAIN} as well")


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("training", f"6 images in {TRAIN}"),
        ("training_ids", f"3 people in {TRAIN}"),
        ("query", f"4 images in {QUERY}"),
        ("query_ids", f"2 people in {QUERY}"),
        ("gallery", f"11 images in {GALLERY}"),
        ("distractors", f"2 distractors (0000) in {GALLERY}"),
        ("junk", f"1 pieces of junk (-1) in {GALLERY}"),
    ],
)
def test_a_number_that_is_not_the_expected_one_is_named(folder, cache, field, message):
    wanted = getattr(EXPECTED, field) + 1
    assert f": {message}, but market1501 has {wanted}; bring" in refusal(folder, cache, **{field: wanted})


def test_somebody_asked_for_who_is_not_in_the_gallery_is_noticed(folder, cache):
    for name in markets.names()[GALLERY]:
        if name.startswith("0003"):
            replaced(folder, GALLERY, name, "0009" + name[4:])
    assert "1 people who are asked for" in refusal(folder, cache)


@pytest.mark.parametrize("size", [(0, 8), (16,), (16, 9000)])
def test_a_size_that_can_not_be_is_refused(folder, cache, size):
    with pytest.raises(ConfigError, match="size of market1501"):
        market1501.load(folder, size=size, expected=EXPECTED, cache=cache)


def official_names():
    """Names with the numbers of the real set: 751 people to learn from, 750 others, distractors and junk."""

    def spread(people, count, first):
        people = list(people)
        return [f"{people[k % len(people)]:04d}_c{1 + k % 6}s1_{first + k:06d}_00.jpg" for k in range(count)]

    return {
        TRAIN: spread(range(2, 1503, 2), 12_936, 0),
        QUERY: spread(range(1, 1501, 2), 3_368, 100_000),
        GALLERY: spread(range(1, 1501, 2), 13_115, 200_000)
        + spread([0], 2_798, 300_000)
        + [f"-1_c1s1_{k:06d}_01.jpg" for k in range(3_819)],
    }


@pytest.mark.slow
def test_an_archive_with_the_official_numbers_is_read(tmp_path, cache):
    image = markets.jpeg(0, (128, 64))
    content = {f"{part}/{name}": image for part, names in official_names().items() for name in names}
    (tmp_path / "market.zip").write_bytes(markets.zipped(content))
    train, test = market1501.load(tmp_path / "market.zip", cache=cache)
    assert train.images.shape == (12_936, 3, 128, 64)
    assert train.classes == 751
    assert (len(test.query), len(test.gallery)) == (3_368, 19_732)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="everything is open to the administrator")
def test_a_folder_that_can_not_be_read_is_named(folder, cache):
    (folder / QUERY).chmod(0)
    try:
        assert str(folder / QUERY) in refusal(folder, cache)
    finally:
        (folder / QUERY).chmod(0o755)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_not_waited_for(folder, cache):
    path = folder / QUERY / markets.names()[QUERY][0]
    path.unlink()
    os.mkfifo(path)
    assert refusal(folder, cache).startswith(f"{path}: not a plain file")


def test_every_folder_of_the_layout_is_in_the_sound_set():
    assert set(markets.names()) == set(FOLDERS)


def test_images_are_bytes(folder, cache):
    train, test = load(folder, cache)
    assert {part.images.dtype for part in (train, test.query, test.gallery, test.multi_query)} == {torch.uint8}
