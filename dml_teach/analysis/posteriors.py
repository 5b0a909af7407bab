"""What a posterior says beside its first choice.

The paper's account of why mutual learning helps rests on this: independent networks give their first choice .96 of the
mass on average, mutual ones about .70 (digitised from its Fig. 3), and what is left over tells a peer which other
classes an image resembles.
"""

import torch
from torch import Tensor

from dml_teach.losses import log_posterior, upcast


def logits_of(posteriors: Tensor) -> Tensor:
    """Logits that have these posteriors, namely their logarithms: (..., C) -> (..., C), for what a run's folder holds.

    A probability that underflowed to 0 counts as the smallest normal number of its type (1e-38 in fp32): it stays
    finite, so a divergence from such a posterior is at most 87 nats in fp32.
    """
    p = upcast(posteriors)
    return p.clamp_min(torch.finfo(p.dtype).tiny).log()


def mass_by_rank(logits: Tensor) -> Tensor:
    """Mean probability of the first choice, the second, ...: (..., N, C) -> (..., C), falling, with sum 1.

    Each image's posterior is sorted before the mean is taken over the images.
    """
    return log_posterior(logits).exp().sort(dim=-1, descending=True).values.mean(dim=-2)


def secondary_mass(logits: Tensor) -> Tensor:
    """Mean probability of all classes but the first choice: (..., N, C) -> (...).

    0 for a network that is always certain, 1 - 1 / C for one that knows nothing.
    """
    return mass_by_rank(logits)[..., 1:].sum(dim=-1)
