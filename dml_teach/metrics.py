"""What is measured of a cohort: pure functions of logits on images that nobody trains on.

Logits are ``(K, N, C)`` for K peers, N images, C classes, labels ``(N,)``; everything is in nats or fractions and runs
in at least fp32. Matrices ``(K, K)`` are indexed as the topology is: row k is the peer that learns, column l the peer
it is compared with.
"""

import torch
from torch import Tensor

from dml_teach.losses import log_posterior


def top1(logits: Tensor, labels: Tensor) -> Tensor:
    """Fraction of images whose most likely class is the right one: (..., N, C) -> (...)."""
    return (logits.argmax(dim=-1) == labels).double().mean(dim=-1)


def nll(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean negative log-likelihood of the right class, in nats: (..., N, C) -> (...).

    Low only for a network that knows when it may be wrong.
    """
    right = labels.expand(logits.shape[:-1]).unsqueeze(-1)
    return -log_posterior(logits).gather(-1, right).squeeze(-1).mean(dim=-1)


def entropy(logits: Tensor) -> Tensor:
    """Mean entropy of the posteriors, in nats: (..., N, C) -> (...).

    0 for a network that is always certain, ln C for one that knows nothing.
    """
    log_p = log_posterior(logits)
    return -(log_p.exp() * log_p).sum(dim=-1).mean(dim=-1)


def pairwise_kl(logits: Tensor) -> Tensor:
    """Mean D_KL(p_l || p_k) over the images, in nats: (K, N, C) -> (K, K), row k, column l, zeros on the diagonal."""
    log_p = log_posterior(logits)
    p = log_p.exp()
    negative_entropy = (p * log_p).sum(dim=-1).mean(dim=-1)  # (K,) of l
    cross = torch.einsum("lnc,knc->kl", p, log_p) / logits.shape[1]
    return (negative_entropy[None, :] - cross).clamp_min(0).fill_diagonal_(0)


def agreement(logits: Tensor) -> Tensor:
    """Fraction of images on which two peers name the same class: (K, N, C) -> (K, K), ones on the diagonal."""
    named = logits.argmax(dim=-1)  # (K, N)
    return (named[:, None] == named[None, :]).double().mean(dim=-1)


def ensemble(logits: Tensor) -> Tensor:
    """Log of the peers' averaged posterior: (K, N, C) -> (N, C); probabilities are averaged, not logits."""
    return log_posterior(logits).logsumexp(dim=0) - torch.tensor(float(len(logits))).log().item()


def mean_off_diagonal(matrix: Tensor) -> Tensor:
    """Mean over pairs of different peers: (K, K) -> scalar; NaN for a single peer, which has nobody to differ from."""
    others = ~torch.eye(len(matrix), dtype=torch.bool, device=matrix.device)
    return matrix[others].mean()
