"""Several images of the one who is asked for, pooled into one feature."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dml_teach.reid import inputs
from dml_teach.reid.inputs import Array
from dml_teach.reid.ranking import Lists, same_identity

POOLINGS: dict[str, Any] = {"mean": torch.mean, "max": torch.amax}


def multi_query(
    query: Array,
    query_ids: Array,
    query_cams: Array,
    extra: Array,
    extra_ids: Array,
    extra_cams: Array,
    *,
    pooling: str = "mean",
) -> NDArray[Any]:
    """Features (Q, D) for `evaluate`: each query's is the mean or the maximum over its extra images.

    The extra images of a query are those of its identity by its own camera, as in Market-1501's folder gt_bbox. Only
    they are pooled: the query's own image counts if it is one of them, as it is there. A query without any keeps its
    own feature, and so does one that is nobody (0 or -1). Features are pooled as given: for a mean in which all images
    weigh alike under the cosine, give features of length 1.

    Args:
        query: features (Q, D).
        query_ids: (Q,).
        query_cams: (Q,).
        extra: features (E, D), by the same network.
        extra_ids: (E,).
        extra_cams: (E,).
        pooling: "mean" or "max", number by number.

    Returns:
        fp32, or fp64 if the features are. A mean is taken in fp64, in the order of the extra images.

    Raises:
        ConfigError: the pooling is not known.
        DataError: shapes, types or labels do not fit.
    """
    inputs.one_of("pooling", pooling, POOLINGS)
    own, others = inputs.features("query", query), inputs.features("extra", extra)
    inputs.same_width(query=own, extra=others)
    ids = inputs.identities("query_ids", query_ids, len(own))
    cams = inputs.labels("query_cams", query_cams, len(own))
    asked, image = same_identity(ids, inputs.identities("extra_ids", extra_ids, len(others)))
    same = cams[asked] == inputs.labels("extra_cams", extra_cams, len(others))[image]
    extras = Lists(image[same], np.searchsorted(asked[same], np.arange(len(own) + 1)))
    exact = not {own.dtype, others.dtype} <= {torch.float16, torch.bfloat16, torch.float32}
    pooled = own.to(dtype=torch.float64 if exact else torch.float32, device="cpu", copy=True)
    for q in np.unique(asked[same]):
        pooled[q] = POOLINGS[pooling](others[torch.from_numpy(extras.of(q))].double(), dim=0)
    return pooled.numpy()
