"""A cohort of peers and the step in which they teach each other.

The step is Algorithm 1 of the paper for any number of peers and any topology W:

    1. every peer predicts on the *same* mini-batch and publishes its posterior, without gradient;
    2. peer after peer pays  label_weight * CE + mimicry_weight * sum_l W[k, l] D_KL(p_l || p_k)  and updates itself.

In the order "simultaneous" all peers learn from the posteriors published in 1, so their updates can run side by side.
In the order "sequential", as the paper prints it, a peer that has updated itself predicts again on the same mini-batch,
so that the next one learns from its newest posterior. That second prediction carries no gradient and does not move
batch-norm statistics a second time.

Between 1 and 2 lies all that peers have to tell each other. So it is there, in `exchange`, that a cohort whose peers
live in several processes or machines asks for the predictions of the others (`distributed`); the step is the same.
"""

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from dml_teach import losses, topology
from dml_teach.errors import ConfigError
from dml_teach.peer import Peer

__all__ = ["ORDERS", "WHOLE", "Cohort", "Peer", "PeerLosses", "Share", "StepReport"]

ORDERS = ("simultaneous", "sequential")


class PeerLosses(NamedTuple):
    """The named losses of one peer in one step: scalars, in nats.

    Attributes:
        supervised: cross-entropy with the labels, the mean over the images that have one.
        mimicry: as the cohort's loss has it; "pairwise" is sum_l W[k, l] D_KL(p_l || p_k) times T^2, which in mutual
            learning is the paper's mean pairwise divergence.
        feature: the distance from the peers' features (`losses.feature_distance`); 0 unless it has a weight.
        total: what the peer descends, label_weight * supervised + mimicry_weight * mimicry + feature_weight * feature.
    """

    supervised: Tensor
    mimicry: Tensor
    feature: Tensor
    total: Tensor


class Share(NamedTuple):
    """What a shard of a batch counts for, where a batch is spread over ranks and gradients are averaged.

    Means over a shard, weighted so and averaged over the shards, are means over the batch.

    Attributes:
        labelled: the shard's share of the batch's images with a label, times the number of shards.
        images: its share of all images of the batch, times the number of shards.
    """

    labelled: Tensor | float = 1.0
    images: float = 1.0


WHOLE = Share()


class StepReport(NamedTuple):
    """What one step did: the losses of `PeerLosses`, and the fraction of the images with a label that each peer had
    right before its update.

    Each is (K,), detached, on the device (reading it is what waits for the device); NaN for a frozen peer, which has no
    loss, and for a peer that lives elsewhere.
    """

    supervised: Tensor
    mimicry: Tensor
    feature: Tensor
    total: Tensor
    top1: Tensor


class Cohort:
    """K peers, who learns from whom, and in which order.

    Args:
        peers: K of them; at least one learns.
        matrix: W (K, K), for example `topology.mutual(K)`. The row of a frozen peer is not used.
        order: "simultaneous" or "sequential".
        temperature: T of the posteriors that peers publish and mimic; 1 in the paper.
        mimicry: which of `losses.MIMICRY` the peers pay; "pairwise" is the paper's.
        run: how to do one thing for every peer: `map` one after the other, a thread pool's `map` side by side. In
            simultaneous order no peer waits for another but for its posterior, so the result is the same bit for bit.
        here: which peers live in this process; None for all of them. The others are known by their settings alone.
        exchange: the logits (B, C) and the features (B, D) of the peers here, K of each with None for the others, ->
            those of all peers. With all of them here there is nothing to be done.

    Raises:
        ConfigError: anything above is not so.
    """

    def __init__(
        self,
        peers: Sequence[Peer],
        matrix: Tensor | Sequence[Sequence[float]],
        *,
        order: str = "simultaneous",
        temperature: float = 1.0,
        mimicry: str = "pairwise",
        run: Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]] = map,
        here: Collection[int] | None = None,
        exchange: Callable[[list[Any], list[Any]], tuple[list[Any], list[Any]]] = lambda *seen: seen,
    ) -> None:
        if order not in ORDERS:
            raise ConfigError(f"order '{order}' is not known: choose one of {', '.join(ORDERS)}")
        if not (math.isfinite(temperature) and temperature > 0):
            raise ConfigError(f"temperature must be a finite number above 0, got {temperature}")
        self.peers = list(peers)
        self.learning = [k for k, peer in enumerate(self.peers) if not peer.frozen]
        if not self.learning:
            raise ConfigError("a cohort needs at least one peer that learns")
        self.here = [k for k in range(len(self.peers)) if here is None or k in here]
        if order == "sequential" and len(self.here) < len(self.peers):
            raise ConfigError(
                "order 'sequential' can not run across ranks, since each peer waits for the update of the one before"
                " it: choose simultaneous, or let the peers share every rank (as many shards as ranks)"
            )
        self.rewire(matrix)
        self.order = order
        if mimicry not in losses.MIMICRY:
            raise ConfigError(f"mimicry '{mimicry}' is not known: choose one of {', '.join(losses.MIMICRY)}")
        self.temperature = temperature
        self.mimicry = losses.MIMICRY[mimicry]
        self.run = run
        self.exchange = exchange
        self._features = any(peer.feature_weight for peer in self.peers)
        if self._features and order == "sequential":
            raise ConfigError("feature_weight: features are compared in simultaneous order alone")
        strangers = [type(p.network).__name__ for p in self.peers if not hasattr(p.network, "features")]
        if self._features and strangers:
            raise ConfigError(f"feature_weight: a {strangers[0]} shows no features; use networks of dml_teach.models")
        self._graphs = any(peer.compiled and peer.device.type == "cuda" for peer in self.peers)
        # An echo shares memory with a peer that learns, so it is done before that one moves its batch-norm statistics.
        own = {id(p) for k in self.learning for p in self.peers[k].network.parameters()}
        echoes = [k for k in self.here if self.peers[k].frozen and _shares(self.peers[k].network, own)]
        self._turns = [echoes, [k for k in self.here if k not in echoes]]

    def rewire(self, matrix: Tensor | Sequence[Sequence[float]]) -> None:
        """From now on let the peers learn from each other as this topology says, W (K, K)."""
        self.topology = topology.validate(matrix, peers=len(self.peers))
        self._weights = self.topology

    def step(self, images: Tensor, labels: Tensor, clean: Tensor | None = None, share: Share = WHOLE) -> StepReport:
        """One mini-batch: every learning peer that lives here is updated once.

        Args:
            images: (B, 3, H, W), the same for all peers.
            labels: (B,) int64, -1 for an image without a label.
            clean: (B, 3, H, W), the same images before augmentation, for peers with `clean`; None if there are none.
            share: of a larger batch, if these images are but a shard of it.
        """
        logits, features = self.exchange(*self._see(images, images if clean is None else clean))
        published = self._publish(logits)

        def learn(k: int) -> Tensor:
            loss = self.loss(k, logits[k], published, labels, features, share)
            self.peers[k].update(loss.total)
            labelled = (labels >= 0).sum().clamp_min(1)
            right = (logits[k].argmax(dim=1) == labels).sum().to(loss.total.dtype) / labelled
            return torch.stack([*loss, right]).detach()

        named = published.posteriors.new_full((len(StepReport._fields), len(self.peers)), torch.nan)
        if self.order == "simultaneous":
            learning = [k for k in self.learning if k in self.here]
            for k, report in zip(learning, self.run(learn, learning), strict=True):
                named[:, k] = report
        else:
            for k in self.learning:
                named[:, k] = learn(k)
                if k != self.learning[-1]:
                    again = losses.publish(self.peers[k].predict_again(images), self.temperature)
                    published.posteriors[k], published.negative_entropies[k] = again
        return StepReport(*named)

    def loss(
        self,
        k: int,
        logits: Tensor,
        published: losses.Published,
        labels: Tensor,
        features: Sequence[Tensor | None] = (),
        share: Share = WHOLE,
    ) -> PeerLosses:
        """The named losses of peer k, each a scalar with gradient into `logits` (B, C), and into its own features.

        `features` are those of all peers, K times (B, D), or nothing where no peer has a feature_weight.
        """
        peer = self.peers[k]
        supervised = losses.cross_entropy(logits, labels, peer.label_smoothing)
        mimicry = self.mimicry(logits, published, self._weights[k], self.temperature)
        total = share.labelled * peer.label_weight * supervised + share.images * peer.mimicry_weight * mimicry
        if not peer.feature_weight:
            return PeerLosses(supervised, mimicry, torch.zeros_like(total), total)
        feature = losses.feature_distance(features[k], features, self._weights[k])  # type: ignore[arg-type]
        return PeerLosses(supervised, mimicry, feature, total + share.images * peer.feature_weight * feature)

    def _see(self, images: Tensor, clean: Tensor) -> tuple[list[Tensor], list[Tensor | None]]:
        """Logits and features of the peers here; None in the place of the others."""
        if self._graphs:
            torch.compiler.cudagraph_mark_step_begin()  # what graphs put out stays alive until the next step
        found: list[Any] = [(None, None)] * len(self.peers)

        def look(k: int) -> None:
            peer = self.peers[k]
            found[k] = peer.see(clean if peer.clean else images, self._features)

        for turn in self._turns:
            list(self.run(look, turn))
        return [logits for logits, _ in found], [features for _, features in found]

    def _publish(self, logits: list[Tensor]) -> losses.Published:
        shapes = {tuple(z.shape) for z in logits}
        if len(shapes) > 1:
            raise ConfigError(f"peers must predict the same classes, but their logits have shapes {sorted(shapes)}")
        published = losses.publish(torch.stack([losses.upcast(z) for z in logits]), self.temperature)
        # Copied to the posteriors' device once: a copy in every step would make the processor wait for the GPU.
        self._weights = self._weights.to(published.posteriors)
        return published


def _shares(network: nn.Module, parameters: set[int]) -> bool:
    return any(id(parameter) in parameters for parameter in network.parameters())
