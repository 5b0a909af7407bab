"""Pooling the images of a query."""

import numpy as np
import pytest
import torch

from dml_teach import reid
from dml_teach.errors import ConfigError, DataError

QUERY = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)
EXTRA = np.array([[5.0, -1.0], [1.0, 7.0], [100.0, 100.0], [9.0, 9.0]], np.float32)
LABELS = {"query_ids": [4, 6], "query_cams": [1, 2], "extra_ids": [4, 4, 4, 5], "extra_cams": [1, 1, 2, 2]}


def pooled(query=QUERY, extra=EXTRA, **change):
    return reid.multi_query(query=query, extra=extra, **{**LABELS, **change})


@pytest.mark.parametrize(("pooling", "expected"), [("mean", [3, 3]), ("max", [5, 7])])
def test_images_of_the_same_identity_by_the_same_camera_are_pooled(pooling, expected):
    assert pooled(pooling=pooling)[0].tolist() == expected


def test_a_query_without_extra_images_keeps_its_own_feature():
    assert pooled()[1].tolist() == [3, 4]


@pytest.mark.parametrize("nobody", [0, -1])
def test_nobody_has_no_extra_images(nobody):
    assert pooled(query_ids=[nobody, 6], extra_ids=[nobody] * 4).tolist() == QUERY.tolist()


def test_the_query_itself_is_not_changed():
    before = QUERY.copy()
    pooled()
    assert np.array_equal(QUERY, before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_tensors_give_an_array_of_their_precision(dtype):
    found = pooled(torch.from_numpy(QUERY).to(dtype), torch.from_numpy(EXTRA).to(dtype))
    assert found.dtype == (np.float64 if dtype == torch.float64 else np.float32) and found[0].tolist() == [3, 3]


def test_pooling_equals_a_loop_over_all_pairs():
    rng = np.random.default_rng(0)
    query, extra = rng.standard_normal((30, 5)), rng.standard_normal((200, 5))
    ids, cams = (rng.integers(1, 6, n) for n in (30, 200)), (rng.integers(1, 4, n) for n in (30, 200))
    (query_ids, extra_ids), (query_cams, extra_cams) = ids, cams
    found = reid.multi_query(query, query_ids, query_cams, extra, extra_ids, extra_cams)
    for q in range(30):
        mine = [extra[e] for e in range(200) if (extra_ids[e], extra_cams[e]) == (query_ids[q], query_cams[q])]
        assert found[q] == pytest.approx(sum(mine) / len(mine) if mine else query[q])


def test_a_pooling_that_is_not_known_is_refused():
    with pytest.raises(ConfigError, match="pooling = 'sum'; give one of mean, max"):
        pooled(pooling="sum")


def test_labels_that_do_not_fit_are_named():
    with pytest.raises(DataError, match=r"extra_cams: \(3,\)"):
        pooled(extra_cams=[1, 1, 2])
