"""Re-ranking against the published algorithm on dense matrices."""

import numpy as np
import pytest
import torch

from dml_teach import reid
from dml_teach.errors import ConfigError, DataError
from dml_teach.reid import distances, reranking
from tests.reid import slow


def features(seed, queries=25, images=90, width=8, people=10, noise=0.8):
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((people, width))
    return tuple(
        centres[rng.integers(0, people, n)] + noise * rng.standard_normal((n, width)) for n in (queries, images)
    )


@pytest.fixture
def single_precision(monkeypatch):
    monkeypatch.setattr(distances, "SMALL", 0)


@pytest.mark.parametrize(("k1", "k2", "weight"), [(20, 6, 0.3), (5, 1, 0.0), (7, 3, 0.5), (1, 1, 0.3), (3, 12, 0.9)])
@pytest.mark.parametrize("seed", range(2))
def test_distances_equal_the_dense_algorithm(seed, k1, k2, weight):
    query, gallery = features(seed)
    found = reid.rerank(query, gallery, k1=k1, k2=k2, weight=weight)
    assert found.dtype == np.float32
    assert found == pytest.approx(slow.rerank(query, gallery, k1, k2, weight), abs=1e-6)


def test_single_precision_stays_within_a_hundred_thousandth(single_precision):
    query, gallery = (x.astype(np.float32) for x in features(2))
    assert reid.rerank(query, gallery) == pytest.approx(slow.rerank(query, gallery, 20, 6, 0.3), abs=1e-5)


def test_features_far_from_zero_are_told_apart(single_precision):
    query, gallery = (x.astype(np.float32) for x in features(3))
    far = reid.rerank(query + 64, gallery + 64)
    assert far == pytest.approx(slow.rerank(query, gallery, 20, 6, 0.3), abs=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_ties_and_copies_go_by_index(seed):
    rng = np.random.default_rng(seed)
    query, gallery = (rng.integers(0, 3, (n, 3)).astype(float) for n in (15, 60))
    assert reid.rerank(query, gallery, 8, 4) == pytest.approx(slow.rerank(query, gallery, 8, 4, 0.3), abs=1e-6)


def test_more_images_than_one_product_takes():
    query, gallery = features(4, queries=distances.ROWS + 10, images=distances.COLUMNS + 20, people=60)
    assert reid.rerank(query, gallery) == pytest.approx(slow.rerank(query, gallery, 20, 6, 0.3), abs=1e-6)


@pytest.mark.parametrize(("queries", "images"), [(1, 1), (1, 5), (4, 3)])
def test_with_fewer_images_than_neighbours_all_are_neighbours(queries, images):
    query, gallery = features(5, queries, images)
    assert reid.rerank(query, gallery) == pytest.approx(slow.rerank(query, gallery, 20, 6, 0.3), abs=1e-6)


def test_images_that_are_all_the_same_are_at_one_distance_from_all():
    found = reid.rerank(np.ones((2, 3)), np.ones((40, 3)))
    assert np.isfinite(found).all() and found.min() >= 0


def test_with_the_whole_weight_on_the_original_the_order_is_the_original():
    query, gallery = features(6)
    d = slow.squared_distances(np.concatenate([query, gallery]))[: len(query)]
    assert reid.rerank(query, gallery, weight=1.0) == pytest.approx(
        d[:, len(query) :] / d.max(axis=1, keepdims=True), abs=1e-6
    )


def test_images_with_common_neighbours_come_nearer():
    rng = np.random.default_rng(7)
    centres = rng.standard_normal((10, 8))
    ids = [rng.integers(0, 10, n) + 1 for n in (60, 200)]
    query, gallery = (centres[of - 1] + 0.9 * rng.standard_normal((len(of), 8)) for of in ids)
    cams = [np.full(len(of), cam) for cam, of in enumerate(ids)]
    before = reid.evaluate(query, gallery, *ids, *cams, metric="euclidean").mAP
    assert reid.evaluate_distances(reid.rerank(query, gallery), *ids, *cams).mAP > before + 0.05


def test_tensors_give_what_arrays_give():
    query, gallery = features(8)
    found = reid.rerank(torch.from_numpy(query).requires_grad_(), torch.from_numpy(gallery))
    assert np.array_equal(found, reid.rerank(query, gallery))


def test_features_are_not_changed(single_precision):
    query, gallery = (x.astype(np.float32) for x in features(9))
    before = query.copy(), gallery.copy()
    reid.rerank(query, gallery)
    assert all(map(np.array_equal, (query, gallery), before))


@pytest.mark.parametrize("kind", ["continuous", "ties", "one value"])
def test_the_nearest_are_found_among_groups_as_by_sorting(kind):
    block = np.random.default_rng(0).random((20, 500))
    block = {"continuous": block, "ties": np.round(6 * block), "one value": np.zeros_like(block)}[kind]
    expected = block.argsort(axis=1, kind="stable")[:, :11]
    assert np.array_equal(reranking._nearest(block, 11), expected)


def test_two_thirds_are_compared_in_whole_numbers_as_the_published_code_does():
    assert all((3 * n > 2 * m) == (n > 2.0 / 3 * m) for m in range(200) for n in range(m + 1))


def test_half_of_k1_is_rounded_as_numpy_rounds():
    assert [round(k / 2) for k in range(1, 100)] == [int(np.around(k / 2)) for k in range(1, 100)]


@pytest.mark.parametrize("option", [{"k1": 0}, {"k2": 0}, {"k1": 2.5}, {"weight": 1.1}, {"weight": float("nan")}])
def test_an_option_that_can_not_be_is_refused(option):
    with pytest.raises(ConfigError, match=next(iter(option))):
        reid.rerank(*features(10), **option)


def test_a_feature_that_is_not_finite_is_named():
    query, gallery = features(11)
    gallery[7, 0] = np.nan
    with pytest.raises(DataError, match="gallery: the feature of image 7 is not finite"):
        reid.rerank(query, gallery)


def test_features_of_two_networks_are_refused():
    with pytest.raises(DataError, match="8 of query and 9 of gallery"):
        reid.rerank(np.zeros((2, 8)), np.zeros((3, 9)))
