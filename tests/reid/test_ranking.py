"""Scores of distances against the slow reference, and each rule of the protocol by itself."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dml_teach import reid
from dml_teach.errors import ConfigError, DataError
from dml_teach.reid import ranking
from tests.reid import slow

DISTANCES = np.array([[0.10, 0.30, 0.20, 0.40, 0.35, 0.50], [0.30, 0.25, 0.40, 0.15, 0.05, 0.60]])
WORKED = {
    "query_ids": np.array([1, 2]), "gallery_ids": np.array([1, 1, 0, 2, -1, 1]),
    "query_cams": np.array([1, 3]), "gallery_cams": np.array([1, 2, 3, 1, 2, 3]),
}  # fmt: skip
FIELDS = ("mAP", "cmc", "mINP", "ap", "inp", "first_match_rank", "valid")
CHOICES = [(ap, denominator) for ap in ("sum", "trapezoid") for denominator in ("valid", "all")]


def one_query(distances, gallery_ids, gallery_cams, **options):
    """Scores of one query with id 1 and camera 1."""
    return reid.evaluate_distances([distances], [1], gallery_ids, [1], gallery_cams, **options)


def same(found, expected, tolerance=0.0):
    """Whether all scores agree, and where they do not, which."""
    return [
        name
        for name, value in zip(FIELDS, expected, strict=True)
        if not np.allclose(getattr(found, name), value, rtol=0, atol=tolerance)
    ] == []


def case(seed, kind="continuous", queries=12, images=90, identities=8, cameras=3):
    """Distances and labels with junk, distractors, absent identities and, unless continuous, many ties."""
    rng = np.random.default_rng(seed)
    distances = rng.random((queries, images))
    if kind == "ties":
        distances = np.round(8 * distances) / 8
    elif kind == "infinite":
        distances = np.where(distances > 0.6, np.inf, np.round(4 * distances))
    elif kind != "continuous":
        distances = (20 * distances).astype(kind)
    labels = {
        "query_ids": rng.integers(1, identities + 3, queries), "gallery_ids": rng.integers(-1, identities, images),
        "query_cams": rng.integers(0, cameras, queries), "gallery_cams": rng.integers(0, cameras, images),
    }  # fmt: skip
    return distances, labels


def test_the_worked_example_summed():
    scores = reid.evaluate_distances(DISTANCES, **WORKED, max_rank=5)
    assert (scores.mAP, scores.mINP, scores.cmc.tolist()) == (3 / 4, 3 / 4, [1 / 2, 1, 1, 1, 1])
    assert (scores.ap.tolist(), scores.inp.tolist(), scores.first_match_rank.tolist()) == ([0.5, 1], [0.5, 1], [2, 1])


def test_the_worked_example_by_trapezoids():
    scores = reid.evaluate_distances(DISTANCES, **WORKED, ap="trapezoid")
    assert scores.mAP == pytest.approx(2 / 3, abs=1e-15) and scores.ap.tolist() == pytest.approx([1 / 3, 1], abs=1e-15)


KINDS = ["continuous", "ties", "infinite", np.float16, np.float32, np.int64, np.uint8]


@pytest.mark.parametrize(("ap", "denominator"), CHOICES)
@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_scores_equal_the_slow_reference(seed, kind, ap, denominator):
    distances, labels = case(seed, kind)
    found = reid.evaluate_distances(distances, **labels, ap=ap, denominator=denominator, max_rank=100)
    assert same(found, slow.scores(distances, **labels, ap=ap, denominator=denominator, max_rank=100), 1e-14)


@pytest.mark.parametrize("kind", ["continuous", "ties"])
def test_counting_and_sorting_find_the_same_ranks(kind, monkeypatch):
    distances, labels = case(5, kind, images=300, identities=4)
    sorting = reid.evaluate_distances(distances, **labels)
    monkeypatch.setattr(ranking, "FEW", 0)
    monkeypatch.setattr(ranking, "FEW_EACH", 0)
    counting = reid.evaluate_distances(distances, **labels)
    assert same(counting, slow.scores(distances, **labels), 1e-14)
    assert np.array_equal(sorting.ap, counting.ap)


def test_as_many_images_as_make_counting_worth_while():
    distances, labels = case(6, "ties", queries=3, images=3000, identities=200)
    assert same(reid.evaluate_distances(distances, **labels), slow.scores(distances, **labels), 1e-14)


def test_junk_counts_neither_way():
    assert one_query([1, 2, 3], [-1, 1, 5], [2, 2, 2]).first_match_rank.tolist() == [1]


def test_the_same_identity_by_the_same_camera_counts_neither_way():
    scores = one_query([1, 2, 3], [1, 1, 5], [1, 2, 2])
    assert (scores.first_match_rank.tolist(), scores.ap.tolist()) == ([1], [1])


def test_another_identity_by_the_same_camera_is_wrong():
    assert one_query([1, 2], [5, 1], [1, 2]).first_match_rank.tolist() == [2]


def test_a_distractor_takes_a_rank():
    assert one_query([1, 2], [0, 1], [1, 2]).first_match_rank.tolist() == [2]


@pytest.mark.parametrize("nobody", [0, -1])
def test_nobody_matches_nobody(nobody):
    scores = reid.evaluate_distances([[1.0, 2.0]], [nobody], [nobody, 3], [1], [2, 2], denominator="all")
    assert not scores.valid[0] and scores.mAP == 0


@pytest.mark.parametrize(("gallery_ids", "rank"), [([1, 5, 5], 1), ([5, 1, 5], 2), ([5, 5, 1], 3)])
def test_of_equal_distances_the_earlier_image_stands_first(gallery_ids, rank):
    assert one_query([7, 7, 7], gallery_ids, [2, 2, 2]).first_match_rank.tolist() == [rank]


def test_cmc_is_as_long_as_asked_and_stays_where_it_ends():
    assert one_query([2, 1], [1, 5], [2, 2], max_rank=6).cmc.tolist() == [0, 1, 1, 1, 1, 1]


def test_a_match_after_max_rank_is_no_hit_but_counts_in_map():
    scores = one_query([3, 1, 2], [1, 5, 5], [2, 2, 2], max_rank=2)
    assert (scores.cmc.tolist(), scores.mAP) == ([0, 0], 1 / 3)


def test_a_query_without_a_match_is_left_out_or_counts_as_nothing():
    arguments = ([[1.0, 2.0], [1.0, 2.0]], [1, 9], [1, 5], [1, 1], [2, 2])
    some, every = (reid.evaluate_distances(*arguments, denominator=name) for name in ("valid", "all"))
    assert (some.mAP, some.mINP, some.cmc[0]) == (1, 1, 1) and (every.mAP, every.mINP, every.cmc[-1]) == (0.5,) * 3
    for scores in (some, every):
        assert scores.valid.tolist() == [True, False]
        assert (scores.ap[1], scores.inp[1], scores.first_match_rank[1]) == (0, 0, 0)


def test_no_query_with_a_match_has_no_mean():
    with pytest.raises(DataError, match=r'none of 1 queries has a match.*denominator="all"'):
        one_query([1.0], [5], [2])


def test_no_query_with_a_match_is_nothing_if_all_count():
    scores = one_query([1.0], [5], [2], denominator="all", max_rank=3)
    assert (scores.mAP, scores.mINP, scores.cmc.tolist()) == (0, 0, [0, 0, 0])


@pytest.mark.parametrize("image", [0, 4])
def test_a_distance_that_is_no_number_is_named_even_on_junk(image):
    distances = np.tile(DISTANCES, (20, 1))
    distances[33, image] = np.nan
    labels = {name: np.tile(ids, 20) if "query" in name else ids for name, ids in WORKED.items()}
    with pytest.raises(DataError, match=f"distance of query 33 and gallery image {image} is not a number"):
        reid.evaluate_distances(distances, **labels)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int32])
def test_a_tensor_of_distances_is_scored_like_an_array(dtype):
    distances, labels = case(1, np.int64)
    tensors = {name: torch.from_numpy(values) for name, values in labels.items()}
    found = reid.evaluate_distances(torch.from_numpy(distances).to(dtype), **tensors)
    assert same(found, slow.scores(distances, **labels), 1e-14)


def test_columns_and_strides_of_the_matrix_do_not_matter():
    distances, labels = case(2)
    for view in (np.asfortranarray(distances), np.repeat(distances, 2, axis=1)[:, ::2], distances[:, ::-1][:, ::-1]):
        assert same(reid.evaluate_distances(view, **labels), slow.scores(distances, **labels), 1e-14)


def test_the_matrix_is_not_changed():
    distances, labels = case(3)
    before = distances.copy()
    distances.flags.writeable = False
    reid.evaluate_distances(distances, **labels)
    assert np.array_equal(distances, before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"query_ids": [1, 2, 3]}, r"query_ids: \(3,\)"),
        ({"gallery_cams": np.zeros((6, 1), int)}, r"gallery_cams: \(6, 1\)"),
        ({"gallery_ids": np.ones(6)}, "gallery_ids: .*float64; give whole numbers"),
        ({"query_cams": [True, False]}, "query_cams: .*bool"),
        ({"gallery_ids": [1, 1, 0, 2, -2, 1]}, "gallery_ids: -2 for image 4; -1 is the least"),
        ({"distances": DISTANCES[0]}, r"distances: shape \(6,\)"),
        ({"distances": np.zeros((2, 0)), "gallery_ids": []}, r"distances: shape \(2, 0\)"),
        ({"distances": DISTANCES.astype(complex)}, "distances: type complex128"),
        ({"distances": torch.zeros(2, 6, dtype=torch.bool)}, "distances: type torch.bool"),
    ],
)
def test_what_does_not_fit_is_named(change, message):
    with pytest.raises(DataError, match=message):
        reid.evaluate_distances(**{"distances": DISTANCES, **WORKED, **change})


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"ap": "area"}, "ap = 'area'; give one of sum, trapezoid"),
        ({"denominator": "some"}, "denominator = 'some'; give one of valid, all"),
        ({"max_rank": 0}, "max_rank = 0; give a whole number from 1"),
        ({"max_rank": 2.0}, "max_rank = 2.0"),
    ],
)
def test_an_option_that_is_not_known_is_refused(option, message):
    with pytest.raises(ConfigError, match=message):
        reid.evaluate_distances(DISTANCES, **WORKED, **option)


LISTS = st.lists(st.booleans(), min_size=1, max_size=40).filter(any)


@given(hits=LISTS)
def test_trapezoids_are_never_more_than_the_sum_and_equal_only_for_a_perfect_list(hits):
    ranks = np.flatnonzero(hits) + 1
    summed, by_trapezoids = (reid.average_precision(ranks, ap) for ap in ("sum", "trapezoid"))
    perfect = ranks.tolist() == list(range(1, len(ranks) + 1))
    assert by_trapezoids <= summed and (by_trapezoids == summed) == perfect
    assert (summed == 1) == perfect


@given(hits=LISTS)
def test_average_precision_of_a_list_is_that_of_its_query(hits):
    ids = [1 if hit else 5 for hit in hits]
    for ap in ("sum", "trapezoid"):
        scores = one_query(range(len(ids)), ids, [2] * len(ids), ap=ap)
        assert reid.average_precision(np.flatnonzero(hits) + 1, ap) == pytest.approx(scores.ap[0], abs=1e-15)


@pytest.mark.parametrize("ranks", [[], [0, 1], [2, 2], [1.5], [[1]]])
def test_ranks_that_can_not_be_are_refused(ranks):
    with pytest.raises(DataError, match="ranks: "):
        reid.average_precision(ranks)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), data=st.data())
def test_the_order_of_the_queries_changes_no_bit(seed, data):
    distances, labels = case(seed, "ties", queries=20, images=40)
    order = np.array(data.draw(st.permutations(range(20))))
    moved = {name: values[order] if "query" in name else values for name, values in labels.items()}
    here = reid.evaluate_distances(distances, **labels, denominator="all")
    there = reid.evaluate_distances(distances[order], **moved, denominator="all")
    assert (here.mAP, here.mINP) == (there.mAP, there.mINP) and np.array_equal(here.cmc, there.cmc)
    for name in ("ap", "inp", "first_match_rank", "valid"):
        assert np.array_equal(getattr(here, name)[order], getattr(there, name))
