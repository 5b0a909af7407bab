"""TinyMarket: its layout, that a seed fixes it, and that it asks for more than colours."""

import ast
import hashlib
import inspect
from pathlib import Path

import numpy as np
import pytest
import torch

from dml_teach.data import market1501, tiny_market
from dml_teach.data.drawing import Canvas, Dice, View
from dml_teach.data.histograms import colour_histogram
from dml_teach.data.images import content_hashes
from dml_teach.data.market1501 import BOXES, GALLERY, QUERY, TRAIN
from dml_teach.data.people import BAGS, BOTTOMS, HEADS, PATTERNS, PRINTS, SIDES, TOPS, draw_person, somebody
from dml_teach.data.streets import CAMERAS, photograph
from dml_teach.errors import ConfigError, DataError
from tests.data.retrieved import mean_average_precision

SMALL = {"identities": 3, "test_identities": 2, "size": (32, 16)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_market.draw(tmp_path_factory.mktemp("markets") / "small", **SMALL)


@pytest.fixture(scope="module")
def small(folder):
    return tiny_market.load(folder, **SMALL)


def seeded(seed=0):
    return Dice(torch.Generator().manual_seed(seed))


def pixels(test):
    parts = (test.query, test.gallery, test.multi_query)
    return {
        name: digest for part in parts for name, digest in zip(part.names, content_hashes(part.images), strict=True)
    }


# --- layout ---


def test_the_folders_are_those_of_market1501(folder):
    assert {path.name for path in folder.iterdir() if path.is_dir()} >= {TRAIN, GALLERY, QUERY, BOXES}


def test_names_are_those_of_market1501(folder):
    for path in folder.rglob("*.jpg"):
        assert market1501.mark(path.name, path.name)


def test_training_images_show_each_person_twice_by_each_camera(small):
    assert small[0].labels.bincount().tolist() == [12, 12, 12]


def test_each_person_of_the_test_is_asked_for_once_by_each_camera(small):
    query = small[1].query
    asked = set(zip(query.identities.tolist(), query.cameras.tolist(), strict=True))
    assert len(asked) == len(query) == 2 * 6


def test_the_gallery_holds_people_distractors_and_junk(small):
    values, counts = small[1].gallery.identities.unique(return_counts=True)
    assert dict(zip(values.tolist(), counts.tolist(), strict=True)) == {-1: 2, 0: 4, 1: 6, 3: 6}


def test_there_are_boxes_drawn_by_hand_for_each_query(small):
    boxes = small[1].multi_query
    found = list(zip(boxes.identities.tolist(), boxes.cameras.tolist(), strict=True))
    assert all(found.count((who, camera)) == 2 for who in (1, 3) for camera in range(1, 7))


def test_nobody_is_learnt_from_and_asked_for(small):
    train, test = small
    assert set(map(int, train.class_names)).isdisjoint(test.gallery.identities.tolist())


def test_the_pixels_may_be_stored(small):
    assert small[0].may_store_images
    assert small[1].name == small[0].name == "tiny-market"


@pytest.mark.parametrize(
    ("option", "sizes"),
    [
        ({"cameras": 3}, (18, 6, 12)),
        ({"images_per_camera": 4}, (72, 12, 42)),
        ({"identities": 1}, (12, 12, 18)),
        ({"test_identities": 5}, (36, 30, 45)),
    ],
)
def test_its_size_is_an_argument(tmp_path, option, sizes):
    train, test = tiny_market.load(tmp_path / "x", **{**SMALL, **option})
    assert (len(train), len(test.query), len(test.gallery)) == sizes


@pytest.mark.parametrize("size", [(16, 16), (40, 24)])
def test_the_size_of_its_pictures_is_an_argument(tmp_path, size):
    assert tiny_market.load(tmp_path / "x", **{**SMALL, "size": size})[0].images.shape[2:] == size


# --- a seed fixes every pixel ---


def test_these_are_the_pixels_of_seed_0(small):
    train, test = small
    digest = hashlib.sha256("".join([*content_hashes(train.images), *sorted(pixels(test).values())]).encode())
    assert digest.hexdigest() == "ca28be99245047b4e7159b79dbdd183e9dfa13758c5013f97c06b130d3bd021a"


def test_a_seed_fixes_every_pixel(small, tmp_path):
    train, test = tiny_market.load(tmp_path / "again", **SMALL)
    assert train.images.equal(small[0].images)
    assert pixels(test) == pixels(small[1])


def test_another_seed_gives_other_people(small, tmp_path):
    train, _ = tiny_market.load(tmp_path / "other", **SMALL, seed=1)
    assert set(content_hashes(train.images)).isdisjoint(content_hashes(small[0].images))


def test_more_people_leave_the_others_as_they_are(small, tmp_path):
    more, _ = tiny_market.load(tmp_path / "more", **{**SMALL, "identities": 5})
    assert set(content_hashes(small[0].images)) <= set(content_hashes(more.images))


def test_what_is_stored_is_what_was_drawn(folder):
    shots = tiny_market._shots(tiny_market.Settings(0, 3, 2, 6, 2, 1.0, (32, 16)))
    train = market1501.training(
        folder, size=(32, 16), expected=tiny_market.Settings(0, 3, 2, 6, 2, 1.0, (32, 16)).expected(), cache=folder
    )
    first = photograph(
        somebody(Dice(tiny_market.seeds.generator(0, "tiny-market person", 2))),
        1,
        (32, 16),
        100,
        "picture",
        Dice(tiny_market.seeds.generator(0, "tiny-market picture", (2 * 10 + 1) * 100)),
    )
    assert shots[0].folder == TRAIN
    assert train.images[0].equal(first)


# --- drawn on first use ---


def test_it_is_drawn_once(folder, monkeypatch):
    monkeypatch.setattr(tiny_market, "photograph", None)
    assert len(tiny_market.load(folder, **SMALL)[0]) == 36


def test_without_a_name_it_is_kept_where_data_are_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("DML_TEACH_DATA", str(tmp_path))
    tiny_market.load(**SMALL)
    (made,) = tmp_path.iterdir()
    assert made.name == "tiny-market_2_seed_0_3+2_people_6x2_pictures_32x16_at_100"


def test_a_folder_drawn_otherwise_is_refused(folder):
    with pytest.raises(DataError, match=r"holds 'tiny-market 2 seed 0 .*', not 'tiny-market 2 seed 5 .*'; remove it"):
        tiny_market.load(folder, **SMALL, seed=5)


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "diary.txt").write_text("mine")
    with pytest.raises(DataError, match="remove it"):
        tiny_market.load(tmp_path, **SMALL)
    with pytest.raises(DataError, match="is there already"):
        tiny_market.draw(tmp_path, **SMALL)
    assert (tmp_path / "diary.txt").read_text() == "mine"


def test_a_failure_leaves_nothing_behind(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(DataError, match="cannot be written"):
        tiny_market.draw(tmp_path / "x", **SMALL)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_drawing_is_named_with_the_way_out(tmp_path):
    home = tiny_market.draw(tmp_path / "x", **SMALL)
    path = next((home / QUERY).iterdir())
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=f"{path.name}: cut short"):
        tiny_market.load(home, **SMALL)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seed", -1),
        ("identities", 0),
        ("test_identities", 0),
        ("cameras", 1),
        ("cameras", 7),
        ("images_per_camera", 1),
        ("difficulty", -0.1),
        ("difficulty", float("nan")),
        ("size", (8, 8)),
        ("size", (64,)),
    ],
)
@pytest.mark.parametrize("function", [tiny_market.draw, tiny_market.load])
def test_numbers_out_of_range_are_refused(tmp_path, function, field, value):
    with pytest.raises(ConfigError, match=f"{field} of tiny-market"):
        function(tmp_path / "x", **{**SMALL, field: value})


def test_drawing_and_loading_take_the_same_arguments():
    drawn, loaded = (list(inspect.signature(f).parameters.values())[1:] for f in (tiny_market.draw, tiny_market.load))
    assert drawn == loaded


# --- people and cameras ---


@pytest.mark.parametrize(
    ("field", "kinds"),
    [
        ("head", HEADS),
        ("top", TOPS),
        ("bottom", BOTTOMS),
        ("pattern", PATTERNS),
        ("front_print", PRINTS),
        ("back_print", PRINTS),
        ("bag", BAGS),
    ],
)
@pytest.mark.parametrize("side", SIDES)
def test_every_kind_of_person_can_be_drawn_from_every_side(field, kinds, side):
    person = somebody(seeded())
    for kind in kinds:
        canvas = Canvas(64, 32)
        draw_person(canvas, person._replace(**{field: kind}), side, 40, View())
        assert len(canvas.colours) > 5


def test_left_and_right_are_mirror_images():
    seen = []
    for side in ("left", "right"):
        canvas = Canvas(64, 32)
        draw_person(canvas, somebody(seeded(3))._replace(bag="none"), side, 40, View())
        seen.append(canvas.pixels().astype(int))
    assert np.abs(seen[0] - seen[1][:, ::-1]).mean() < 6  # of 255: a shape may lie half a fine pixel further


def test_a_print_on_the_back_is_not_seen_from_the_front():
    person = somebody(seeded())._replace(bag="none", top="shirt", back_print="none")
    seen = []
    for kind in ("none", "cross"):
        canvas = Canvas(64, 32)
        draw_person(canvas, person._replace(back_print=kind), "front", 0, View())
        seen.append(canvas.pixels())
    assert (seen[0] == seen[1]).all()


def test_people_drawn_at_all_sizes_look_alike():
    person, small, large = somebody(seeded()), Canvas(32, 16), Canvas(64, 32)
    for canvas in (small, large):
        draw_person(canvas, person, "front", 0, View())
    halved = large.pixels().reshape(32, 2, 16, 2, 3).mean(axis=(1, 3))
    assert np.abs(halved - small.pixels()).mean() < 8


def test_without_difficulty_all_cameras_develop_alike():
    person = somebody(seeded())
    seen = [photograph(person, 1 + k, (64, 32), 0, "picture", seeded(5)) for k in range(len(CAMERAS))]
    middle = [picture[:, 24:30, 14:18] for picture in seen]  # where nothing of the place is seen
    assert all(part.equal(middle[0]) for part in middle)


def test_each_camera_has_a_look_of_its_own():
    means = torch.stack(
        [photograph(None, 1 + k, (64, 32), 100, "picture", seeded()).double().mean(dim=(1, 2)) for k in range(6)]
    )
    assert torch.pdist(means).min() > 15


def test_a_canvas_averages_its_finer_pixels():
    canvas = Canvas(16, 8)
    canvas.box(-320, 0, 0, 640, (200, 100, 50))
    assert canvas.pixels()[:, :4].tolist() == [[[200, 100, 50]] * 4] * 16
    assert canvas.pixels()[:, 4:].max() == 0


@pytest.mark.parametrize("corners", [[(0, 100), (60, 200), (-60, 200)], [(-60, 200), (60, 200), (0, 100)]])
def test_a_polygon_is_filled_whichever_way_its_corners_run(corners):
    canvas = Canvas(64, 32)
    canvas.polygon(corners, (255, 255, 255))
    assert canvas.pixels()[17, 16, 0] == 255
    assert canvas.pixels()[17, 2, 0] == 0


def test_a_limb_is_as_thick_as_twice_its_radius():
    canvas = Canvas(64, 32)
    canvas.limb((-100, 320), (100, 320), 40, (255, 255, 255))
    assert 7 <= canvas.pixels()[:, 16, 0].astype(int).sum() / 255 <= 9


# --- more than colours ---


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    return tiny_market.load(tmp_path_factory.mktemp("markets") / "usual", identities=1)


def test_raw_pixels_find_nobody(usual):
    query, gallery = (part.images.flatten(1).double() - 128 for part in (usual[1].query, usual[1].gallery))
    assert mean_average_precision(query, gallery, usual[1]) < 0.05


def test_a_fair_histogram_of_colours_finds_few_people(usual):
    query, gallery = (colour_histogram(part.images) for part in (usual[1].query, usual[1].gallery))
    assert 0.1 < mean_average_precision(query, gallery, usual[1]) < 0.28


def test_the_library_draws_without_floating_point():
    for module in ("drawing", "people", "streets"):
        text = Path(inspect.getfile(tiny_market)).with_name(f"{module}.py").read_text(encoding="utf-8")
        nodes = list(ast.walk(ast.parse(text)))
        assert not [node for node in nodes if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)]
        assert not [node for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, float)]
        assert not [node for node in nodes if isinstance(node, ast.Attribute) and node.attr in ("mean", "sqrt", "rand")]


def test_two_that_draw_the_same_at_once_both_succeed(tmp_path, monkeypatch):
    small = {"identities": 2, "test_identities": 2, "cameras": 2}
    original = tiny_market._put_in_place

    def overtaken(fresh, target):
        monkeypatch.setattr(tiny_market, "_put_in_place", original)
        tiny_market.draw(target, **small)
        original(fresh, target)

    monkeypatch.setattr(tiny_market, "_put_in_place", overtaken)
    folder = tiny_market.draw(tmp_path / "drawn", **small)
    assert tiny_market.load(folder, **small)[0].images.shape[0] > 0
    assert [path.name for path in tmp_path.iterdir()] == ["drawn"]


def test_one_that_draws_other_people_into_the_same_folder_at_once_is_refused(tmp_path, monkeypatch):
    small = {"identities": 2, "test_identities": 2, "cameras": 2}
    original = tiny_market._put_in_place

    def overtaken(fresh, target):
        monkeypatch.setattr(tiny_market, "_put_in_place", original)
        tiny_market.draw(target, seed=1, **small)
        original(fresh, target)

    monkeypatch.setattr(tiny_market, "_put_in_place", overtaken)
    with pytest.raises(DataError, match="cannot be written"):
        tiny_market.draw(tmp_path / "drawn", **small)
