"""Is a network right as often as it says? Confidence, the highest probability of the posterior, against accuracy.

Source: Guo, Pleiss, Sun, Weinberger, *On Calibration of Modern Neural Networks* (2017). Its third measure beside
the reliability diagram and the ECE, the NLL, is `metrics.nll`.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from dml_teach.errors import ConfigError
from dml_teach.losses import log_posterior

BINS = 15


class Reliability(NamedTuple):
    """A reliability diagram in numbers, a value for each of B bins of confidence; leading axes as in the logits.

    Attributes:
        images: (..., B), how many fall into the bin.
        confidence: (..., B), their mean confidence; NaN where there is none.
        accuracy: (..., B), the fraction of them that is named rightly; NaN where there is none.
    """

    images: Tensor
    confidence: Tensor
    accuracy: Tensor


def reliability(logits: Tensor, labels: Tensor, bins: int = BINS) -> Reliability:
    """Sort images into `bins` equal bins of confidence and compare confidence with accuracy in each.

    Bin b = 0 ... bins - 1 takes the confidences in (b / bins, (b + 1) / bins]: an edge belongs to the bin below it.

    Args:
        logits: (..., N, C).
        labels: (N,) int64.
        bins: how many, at least 1.

    Returns:
        float64 tensors (..., bins).
    """
    if bins < 1:
        raise ConfigError(f"bins = {bins}: give at least 1")
    log_confidence, named = log_posterior(logits).max(dim=-1)
    confidence = log_confidence.exp().double()  # (..., N)
    inner_edges = torch.arange(1, bins, device=logits.device, dtype=torch.float64) / bins
    member = F.one_hot(torch.bucketize(confidence, inner_edges), bins).double()  # (..., N, bins)
    images = member.sum(dim=-2)
    right = (named == labels).double()
    return Reliability(
        images,
        (member * confidence.unsqueeze(-1)).sum(dim=-2) / images,
        (member * right.unsqueeze(-1)).sum(dim=-2) / images,
    )


def ece(logits: Tensor, labels: Tensor, bins: int = BINS) -> Tensor:
    """Expected calibration error, a fraction: sum_b images_b / N |accuracy_b - confidence_b|; (..., N, C) -> (...).

    Bins are those of `reliability`. 0 for a network that is right as often as it says, in every bin. It says nothing
    about accuracy: a network that always gives the classes' frequencies has an ECE of 0.
    """
    images, confidence, accuracy = reliability(logits, labels, bins)
    gaps = (accuracy - confidence).abs().nan_to_num(0)  # an empty bin counts for nothing
    return (images * gaps).sum(dim=-1) / len(labels)
