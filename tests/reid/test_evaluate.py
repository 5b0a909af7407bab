"""Scores of features: the ranking of exact distances, with the same bits however the work is cut."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dml_teach import reid
from dml_teach.errors import ConfigError, DataError
from dml_teach.reid import distances
from tests.reid import slow
from tests.reid.test_ranking import FIELDS, same

METRICS = {
    "cosine": slow.cosine_distances,
    "euclidean": lambda q, g: slow.squared_distances(np.concatenate([q, g]))[: len(q), len(q) :],
}


def case(seed, queries=15, images=80, width=12, dtype=np.float32):
    """Features with copies in the gallery, and labels."""
    rng = np.random.default_rng(seed)
    people = rng.standard_normal((9, width))
    ids = {"query_ids": rng.integers(1, 11, queries), "gallery_ids": rng.integers(-1, 9, images)}
    cams = {"query_cams": rng.integers(0, 3, queries), "gallery_cams": rng.integers(0, 3, images)}
    query, gallery = (people[of % 9] + rng.standard_normal((len(of), width)) for of in ids.values())
    gallery[images // 2 :: 7] = gallery[0]
    return query.astype(dtype), gallery.astype(dtype), {**ids, **cams}


def identical(ones, others, order=slice(None)):
    """Fields in which two scores differ by a bit; per-query fields of the second are in `order`."""
    per_query = FIELDS[3:]
    return [
        name
        for name in FIELDS
        if not np.array_equal(
            getattr(ones, name)[order] if name in per_query else getattr(ones, name), getattr(others, name)
        )
    ] == []


@pytest.fixture
def single_precision(monkeypatch):
    """Small sets are computed as large ones are: in fp32 if the features are."""
    monkeypatch.setattr(distances, "SMALL", 0)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", range(3))
def test_scores_equal_those_of_exact_distances(seed, dtype, metric):
    query, gallery, labels = case(seed, dtype=dtype)
    expected = slow.scores(np.round(METRICS[metric](query, gallery), 12), **labels)
    assert same(reid.evaluate(query, gallery, **labels, metric=metric), expected, 1e-14)


@pytest.mark.parametrize("metric", METRICS)
def test_single_precision_finds_the_same_ranking_where_nothing_is_close(metric, single_precision):
    query, gallery, labels = case(3, images=900, queries=200)
    expected = slow.scores(np.round(METRICS[metric](query, gallery), 12), **labels)
    assert same(reid.evaluate(query, gallery, **labels, metric=metric), expected, 1e-3)


@pytest.mark.parametrize("metric", METRICS)
def test_several_products_are_put_together_in_order(metric):
    query, gallery, labels = case(4, queries=distances.ROWS + 3, images=distances.COLUMNS + 5)
    expected = slow.scores(np.round(METRICS[metric](query, gallery), 12), **labels)
    for chunk in (1, distances.ROWS, 10**6):
        assert same(reid.evaluate(query, gallery, **labels, metric=metric, chunk=chunk), expected, 1e-14)


@pytest.mark.parametrize("metric", METRICS)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), chunk=st.integers(1, 900), data=st.data())
def test_chunks_and_the_order_of_the_queries_change_no_bit(metric, seed, chunk, data):
    query, gallery, labels = case(seed, queries=distances.ROWS + 20, images=100, width=7)
    order = np.array(data.draw(st.permutations(range(len(query)))))
    moved = {name: values[order] if "query" in name else values for name, values in labels.items()}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(distances, "SMALL", 0)
        here = reid.evaluate(query, gallery, **labels, metric=metric)
        there = reid.evaluate(query[order], gallery, **moved, metric=metric, chunk=chunk)
    assert identical(here, there, order)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("width", [1, 3, 64, 300, 513])
def test_equal_images_are_equally_far_wherever_they_stand(width, dtype):
    generator = torch.Generator().manual_seed(width)
    one, other = torch.randn(2, width, generator=generator, dtype=dtype)
    tiles = distances.tiled(other.expand(distances.COLUMNS + 100, -1))
    out = torch.empty(2 * distances.ROWS, 2 * distances.COLUMNS, dtype=dtype)
    distances.product(one.expand(distances.ROWS + 100, -1), tiles, out)
    values = out[: distances.ROWS + 100, : distances.COLUMNS + 100]
    assert bool((values == values[0, 0]).all())


def test_the_length_of_a_feature_does_not_matter_to_the_cosine():
    query, gallery, labels = case(5)
    longer = reid.evaluate(4 * query, gallery * 2.0 ** np.arange(len(gallery))[:, None].clip(max=20), **labels)
    assert identical(reid.evaluate(query, gallery, **labels), longer)


@pytest.mark.parametrize("opposite", [False, True])
def test_a_feature_of_zeros_is_at_right_angles_to_all(opposite):
    gallery = np.array([[0.0, 0.0], [-1.0 if opposite else 1.0, 0.0]])
    scores = reid.evaluate([[1.0, 0.0]], gallery, [1], [1, 5], [1], [2, 2])
    assert scores.first_match_rank.tolist() == [1 if opposite else 2]


@pytest.mark.parametrize("metric", METRICS)
def test_one_query_and_one_image(metric):
    scores = reid.evaluate([[3.0]], [[-2.0]], [1], [1], [1], [2], metric=metric, max_rank=2)
    assert (scores.mAP, scores.cmc.tolist(), scores.mINP) == (1, [1, 1], 1)


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "int64", "strided", "read-only", "needs grad", "big-endian"])
def test_features_of_every_kind_give_the_scores_of_their_values(kind):
    query, gallery, labels = case(6)
    query, gallery = (np.round(4 * x) for x in (query, gallery))
    expected = reid.evaluate(query.astype(float), gallery.astype(float), **labels)
    changed = {
        "strided": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
        "read-only": lambda x: np.frombuffer(x.tobytes(), x.dtype).reshape(x.shape),
        "needs grad": lambda x: torch.from_numpy(x).requires_grad_(),
        "big-endian": lambda x: x.astype(">f4"),
    }.get(kind, lambda x: torch.from_numpy(x).to(getattr(torch, kind, torch.float32)))
    assert identical(expected, reid.evaluate(changed(query), changed(gallery), **labels))


def test_a_setting_for_faster_training_shortens_no_number(single_precision):
    query, gallery, labels = case(7, queries=100, images=400, width=64)
    expected = reid.evaluate(query, gallery, **labels)
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = reid.evaluate(query, gallery, **labels)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")
    assert identical(expected, found)


def test_the_whole_matrix_is_never_held(monkeypatch):
    made = []
    original = torch.Tensor.new_empty
    monkeypatch.setattr(torch.Tensor, "new_empty", lambda x, size, **k: made.append(size) or original(x, size, **k))
    query, gallery, labels = case(8, queries=5 * distances.ROWS, images=100)
    reid.evaluate(query, gallery, **labels)
    assert made == [(distances.ROWS, distances.COLUMNS)]


@pytest.mark.parametrize("where", ["query", "gallery"])
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_a_feature_that_can_not_be_compared_is_named(where, value):
    query, gallery, labels = case(9, queries=2 * distances.ROWS)
    {"query": query, "gallery": gallery}[where][-2, 3] = value
    image = len(query if where == "query" else gallery) - 2
    with pytest.raises(DataError, match=f"{where}: the feature of image {image} is not finite"):
        reid.evaluate(query, gallery, **labels)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"query": np.zeros(12)}, r"query: features of shape \(12,\)"),
        (
            {"gallery": np.zeros((0, 12)), "gallery_ids": [], "gallery_cams": []},
            r"gallery: features of shape \(0, 12\)",
        ),
        ({"query": np.zeros((15, 11))}, "11 of query and 12 of gallery; both must come from the same network"),
        ({"query": np.full((15, 12), "x")}, "query: features of type"),
        ({"gallery": torch.zeros(80, 12, dtype=torch.complex64)}, "gallery: features of type complex64"),
        ({"query_ids": np.ones(14, int)}, r"query_ids: \(14,\)"),
    ],
)
def test_what_does_not_fit_is_named(change, message):
    query, gallery, labels = case(10)
    with pytest.raises(DataError, match=message):
        reid.evaluate(**{"query": query, "gallery": gallery, **labels, **change})


@pytest.mark.parametrize("option", [{"metric": "manhattan"}, {"chunk": 0}, {"ap": ""}, {"max_rank": -1}])
def test_an_option_that_is_not_known_is_refused(option):
    query, gallery, labels = case(11)
    with pytest.raises(ConfigError, match=next(iter(option))):
        reid.evaluate(query, gallery, **labels, **option)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("metric", METRICS)
def test_a_gpu_finds_the_same_scores(metric):
    query, gallery, labels = case(12, queries=200, images=900)
    here = reid.evaluate(query, gallery, **labels, metric=metric, device="cpu")
    assert identical(here, reid.evaluate(query, gallery, **labels, metric=metric, device="cuda"))
