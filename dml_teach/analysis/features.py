"""Do two networks see alike? Their features on the same images, compared by linear centred kernel alignment (CKA).

Source: Kornblith, Norouzi, Lee, Hinton, *Similarity of Neural Network Representations Revisited* (2019).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from dml_teach.errors import ConfigError
from dml_teach.evaluation import features

__all__ = ["cka_matrix", "features", "linear_cka"]


def linear_cka(a: Tensor, b: Tensor) -> Tensor:
    """Linear CKA of two feature matrices (N, D1) and (N, D2) of the same images -> scalar from 0 to 1, float64.

        ||A'B||_F^2 / (||A'A||_F ||B'B||_F),   A and B with their column means subtracted

    1 if one is the other turned, mirrored, shifted or scaled as a whole; 0 if no direction of one varies with any of
    the other. The units' order and number do not matter. With few images per dimension it is large by chance: two
    independent noise matrices of N images and D dimensions each have about D / (N + D). NaN if one does not vary.

    Raises:
        ConfigError: the matrices do not have one row for each of the same images.
    """
    if a.ndim != 2 or b.ndim != 2 or len(a) != len(b):
        raise ConfigError(
            f"features of the same N images are (N, D1) and (N, D2), got {tuple(a.shape)} and {tuple(b.shape)}"
        )
    a, b = (m.double() - m.double().mean(dim=0) for m in (a, b))
    return (a.T @ b).square().sum() / (torch.linalg.norm(a.T @ a) * torch.linalg.norm(b.T @ b))


def cka_matrix(several: Sequence[Tensor]) -> Tensor:
    """Linear CKA of every pair of K feature matrices, (N, D_k) each: (K, K) float64, ones on the diagonal."""
    return torch.stack([torch.stack([linear_cka(a, b) for b in several]) for a in several])
