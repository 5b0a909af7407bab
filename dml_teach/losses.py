"""The losses of mutual learning, as pure functions of logits.

Notation: logits z ``(B, C)`` for B images and C classes, posterior p = softmax(z / T). A peer l is the *reference* of

    D_KL(p_l || p_k) = sum_m p_l^m log(p_l^m / p_k^m)

so peer k pays for every class that l finds likely and k does not. All means run over the batch alone, never over the
classes: a mean over 100 classes would make the mimicry term 100 times too weak. Values are in nats. Half precision
(fp16, bf16) is computed in fp32; fp32 and fp64 are kept.

Source: Zhang, Xiang, Hospedales, Lu, *Deep Mutual Learning* (2018); Hinton, Vinyals, Dean,
*Distilling the Knowledge in a Neural Network* (2015), for the temperature.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from dml_teach.errors import ConfigError


def upcast(logits: Tensor) -> Tensor:
    """Half precision to fp32, since softmax and logarithm lose too much in it; fp32 and fp64 stay."""
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits


def log_posterior(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Log of softmax(logits / temperature) over the last axis; any leading shape (..., C)."""
    if not temperature > 0:
        raise ConfigError(f"temperature must be above 0, got {temperature}")
    return F.log_softmax(upcast(logits) / temperature, dim=-1)


def cross_entropy(logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
    """The supervised loss, mean of -log p^label: logits (B, C), labels (B,) int64 -> scalar.

    A label of -1 means that the image has none: it does not count, and a batch without any label costs 0.

    With `smoothing` s the target is (1 - s) one-hot + s / C instead of the one-hot label: a teacher that knows nothing
    but never lets the network be certain. The paper's code for re-identification uses .1, its text does not mention it.
    """
    if not 0 <= smoothing < 1:
        raise ConfigError(f"label smoothing must be a share from 0 to below 1, got {smoothing}")
    total = F.cross_entropy(upcast(logits), labels, label_smoothing=smoothing, ignore_index=-1, reduction="sum")
    return total / (labels >= 0).sum().clamp_min(1)


def kl_divergence(reference_logits: Tensor, logits: Tensor, temperature: float = 1.0) -> Tensor:
    """D_KL(reference || self) of each image, in nats: two (..., B, C) -> (..., B). Gradient flows into both."""
    _same_shape(reference_logits, logits)
    reference, log_p = log_posterior(reference_logits, temperature), log_posterior(logits, temperature)
    return (reference.exp() * (reference - log_p)).sum(dim=-1)


def mimicry(logits: Tensor, peer_logits: Tensor, temperature: float = 1.0) -> Tensor:
    """What a peer pays for differing from another: T^2 times the batch mean of D_KL(peer || self).

    The peer is a target, not a partner in the descent: no gradient reaches it. The gradient for the learner's own
    logits is T (p_self - p_peer) / B, p taken at temperature T, so T^2 keeps it comparable with that of the labels as T
    grows.

    Args:
        logits: (B, C) of the peer that learns.
        peer_logits: (B, C) of the peer that it listens to, on the same images.
        temperature: T; 1 in the paper.

    Returns:
        Scalar, in nats times T^2.
    """
    return temperature**2 * kl_divergence(peer_logits.detach(), logits, temperature).mean()


def distillation(
    student_logits: Tensor, teacher_logits: Tensor, labels: Tensor, temperature: float, weight: float
) -> Tensor:
    """Distillation from a teacher: (1 - weight) cross-entropy + weight T^2 KL(teacher || student), scalar.

    Args:
        student_logits: (B, C); receives the gradient.
        teacher_logits: (B, C); receives none.
        labels: (B,) int64.
        temperature: T, above 0.
        weight: share of the teacher, from 0 (labels alone) to 1 (teacher alone).
    """
    if not 0 <= weight <= 1:
        raise ConfigError(f"weight of the teacher must lie between 0 and 1, got {weight}")
    supervised = cross_entropy(student_logits, labels)
    return (1 - weight) * supervised + weight * mimicry(student_logits, teacher_logits, temperature)


class Published(NamedTuple):
    """What the peers of a cohort know of each other in one step; it carries no gradient.

    Attributes:
        posteriors: (K, B, C), each peer's softmax(z / T).
        negative_entropies: (K, B), sum_m p^m log p^m, in nats.
    """

    posteriors: Tensor
    negative_entropies: Tensor


@torch.no_grad()
def publish(logits: Tensor, temperature: float = 1.0) -> Published:
    """Posteriors and their negative entropies from the logits (K, B, C) of all peers, once a step."""
    log_p = log_posterior(logits, temperature)
    p = log_p.exp()
    return Published(p, (p * log_p).sum(dim=-1))


def mimicry_of_mixture(logits: Tensor, published: Published, weights: Tensor, temperature: float = 1.0) -> Tensor:
    """A peer's mimicry loss towards a weighted mixture of its peers: the mean pairwise divergence, at the price of one.

    With weights w that sum to 1 and the mixture q = sum_l w_l p_l,

        sum_l w_l D_KL(p_l || p_k) = sum_l w_l sum_m p_l^m log p_l^m - sum_m q^m log p_k^m

    The first part does not depend on peer k: the whole gradient is that of a cross-entropy to the mixture, T (p_k - q)
    / B. For w_l = 1 / (K - 1) this is the paper's loss for K networks. A row of zeros gives 0.

    Args:
        logits: (B, C) of the peer that learns.
        published: posteriors (K, B, C) and negative entropies (K, B) of all peers, at the same temperature.
        weights: (K,), the learner's row of the topology.
        temperature: T.

    Returns:
        Scalar, in nats times T^2.
    """
    weights = weights.to(published.posteriors)
    mixture = torch.tensordot(weights, published.posteriors, dims=1)  # (B, C)
    expected_negative_entropy = weights @ published.negative_entropies  # (B,)
    cross = (mixture * log_posterior(logits, temperature)).sum(dim=-1)  # (B,)
    return temperature**2 * (expected_negative_entropy - cross).mean()


def mimicry_of_ensemble(logits: Tensor, published: Published, weights: Tensor, temperature: float = 1.0) -> Tensor:
    """DML_e: the divergence from the peers' *averaged* posterior, T^2 mean_b D_KL(q || p_k) with q = sum_l w_l p_l.

    Arguments as in `mimicry_of_mixture`. Its value is smaller by T^2 times the peers' Jensen-Shannon divergence, its
    gradient is the same: as a teacher, the average of the peers is exactly as good as the peers one by one.
    """
    pairwise = mimicry_of_mixture(logits, published, weights, temperature)
    return pairwise - temperature**2 * jensen_shannon(published, weights).mean()


def summed_mimicry(logits: Tensor, published: Published, weights: Tensor, temperature: float = 1.0) -> Tensor:
    """The divergences summed over the peers one listens to, not averaged: what the authors' code does at any K.

    Arguments as in `mimicry_of_mixture`. With K - 1 equal teachers it is K - 1 times the paper's loss, so at K = 5 its
    mimicry weighs four times as much as that of DML_e: a possible reason why the paper finds DML_e worse.
    """
    teachers = (weights > 0).sum().to(published.posteriors)
    return teachers * mimicry_of_mixture(logits, published, weights, temperature)


def feature_distance(features: Tensor, peer_features: Sequence[Tensor], weights: Tensor) -> Tensor:
    """The L2 variant: mean over batch and dimensions of the squared distance from the peers' features, weighted.

    No gradient reaches the peers. Source: the paper's comparison of matching posteriors with matching features. How it
    scales the distance is not known; the mean over dimensions, so that wide and narrow networks pay alike, is ours.

    Args:
        features: (B, D) of the peer that learns.
        peer_features: K times (B, D), of all peers.
        weights: (K,), the learner's row of the topology.

    Raises:
        ConfigError: two networks have features of different width.
    """
    widths = sorted({f.shape[-1] for f in peer_features})
    if len(widths) > 1:
        raise ConfigError(f"features of {widths[0]} and {widths[-1]} numbers can not be compared; use equal networks")
    others = upcast(torch.stack([f.detach() for f in peer_features]))
    distances = (upcast(features) - others).square().mean(dim=(1, 2))  # (K,)
    return weights.to(distances) @ distances


MIMICRY = {"pairwise": mimicry_of_mixture, "ensemble": mimicry_of_ensemble, "summed": summed_mimicry}
"""The mimicry losses by name: the paper's mean over the peers, its DML_e, and the sum of its code."""


def jensen_shannon(published: Published, weights: Tensor) -> Tensor:
    """How much the peers differ among themselves, (B,) in nats: H(mixture) - sum_l w_l H(p_l); 0 for one peer."""
    weights = weights.to(published.posteriors)
    mixture = torch.tensordot(weights, published.posteriors, dims=1)
    return torch.special.entr(mixture).sum(dim=-1) + weights @ published.negative_entropies


def _same_shape(a: Tensor, b: Tensor) -> None:
    if a.shape != b.shape:
        raise ConfigError(f"logits of peers must have one shape, got {tuple(a.shape)} and {tuple(b.shape)}")
