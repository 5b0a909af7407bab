"""A cohort of peers and the step in which they teach each other.

The step is Algorithm 1 of the paper for any number of peers and any topology W:

    1. every peer predicts on the *same* mini-batch and publishes its posterior, without gradient;
    2. peer after peer pays  label_weight * CE + mimicry_weight * sum_l W[k, l] D_KL(p_l || p_k)  and updates itself.

In the order "simultaneous" all peers learn from the posteriors published in 1, so their updates can run side by side.
In the order "sequential", as the paper prints it, a peer that has updated itself predicts again on the same mini-batch,
so that the next one learns from its newest posterior. That second prediction carries no gradient and does not move
batch-norm statistics a second time.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from dml_teach import losses, topology
from dml_teach.errors import CheckpointError, ConfigError

ORDERS = ("simultaneous", "sequential")


class PeerLosses(NamedTuple):
    """The named losses of one peer in one step: scalars, in nats.

    Attributes:
        supervised: cross-entropy with the labels.
        mimicry: as the cohort's loss has it; "pairwise" is sum_l W[k, l] D_KL(p_l || p_k) times T^2, which in mutual
            learning is the paper's mean pairwise divergence.
        total: what the peer descends, label_weight * supervised + mimicry_weight * mimicry.
    """

    supervised: Tensor
    mimicry: Tensor
    total: Tensor


class StepReport(NamedTuple):
    """What one step did: the losses of `PeerLosses` and the fraction of the batch that each peer had right before its
    update.

    Each is (K,), detached, on the device (reading it is what waits for the device); NaN for a frozen peer, which has no
    loss.
    """

    supervised: Tensor
    mimicry: Tensor
    total: Tensor
    top1: Tensor


@dataclass
class Peer:
    """One member of a cohort.

    Attributes:
        network: images (B, 3, H, W) -> logits (B, C).
        optimizer: updates this network's parameters and no others; None for a frozen peer.
        frozen: a static teacher. It counts in K and in W, predicts in eval mode, and has no loss.
        label_weight: weight of the cross-entropy; 0 for a student that hears its teachers alone.
        mimicry_weight: weight of the mimicry loss; 1 in the paper.
        label_smoothing: share of the label that is spread over all classes; 0 in the paper.
    """

    network: nn.Module
    optimizer: torch.optim.Optimizer | None = None
    frozen: bool = False
    label_weight: float = 1.0
    mimicry_weight: float = 1.0
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        for name in ("label_weight", "mimicry_weight"):
            weight = getattr(self, name)
            if not (math.isfinite(weight) and weight >= 0):
                raise ConfigError(f"{name} must be a finite number of at least 0, got {weight}")
        if self.frozen and self.optimizer is not None:
            raise ConfigError("a frozen peer does not learn: give it no optimizer")
        if not self.frozen and self.optimizer is None:
            raise ConfigError("a peer that learns needs an optimizer (or frozen=True for a static teacher)")
        if self.optimizer is not None:
            own = {id(p) for p in self.network.parameters()}
            if any(id(p) not in own for group in self.optimizer.param_groups for p in group["params"]):
                raise ConfigError("a peer's optimizer must hold the parameters of its own network alone")

    def predict(self, images: Tensor) -> Tensor:
        """Logits (B, C): with gradient in train mode, or, for a frozen peer, without gradient in eval mode."""
        self.network.train(not self.frozen)
        with torch.set_grad_enabled(not self.frozen):
            return self.network(images)

    @torch.no_grad()
    def predict_again(self, images: Tensor) -> Tensor:
        """Logits (B, C) after an update: in train mode, without gradient.

        Running statistics stay where the first prediction left them.
        """
        scratch = {name: buffer.clone() for name, buffer in self.network.named_buffers()}
        return torch.func.functional_call(self.network, scratch, (images,))

    def update(self, loss: Tensor) -> None:
        """One step of the optimizer down the gradient of `loss` (scalar)."""
        assert self.optimizer is not None
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def state(self) -> dict[str, Tensor]:
        """All that the peer carries from one step to the next, by name: the tensors themselves, no copies."""
        found = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        if self.optimizer is not None:
            for number, kept in self.optimizer.state_dict()["state"].items():
                found |= {f"optimizer.{number}.{key}": v for key, v in kept.items() if isinstance(v, Tensor)}
        return found

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Go on where `state()` was taken, in this process or another.

        Raises:
            CheckpointError: it is the state of another network.
        """
        try:
            self.network.load_state_dict(_below("network.", state))
        except RuntimeError as error:
            reason = " ".join(str(error).split())
            raise CheckpointError(f"the checkpoint does not fit a {type(self.network).__name__}: {reason}") from error
        if self.optimizer is not None:
            parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
            kept: dict[int, dict[str, Tensor]] = {}
            for name, value in _below("optimizer.", state).items():
                number, key = name.split(".", 1)
                parameter = parameters[int(number)]
                if value.shape == parameter.shape:
                    # In the parameter's memory format: in another one, sums may be fused and rounded differently.
                    value = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
                kept.setdefault(int(number), {})[key] = value
            self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": kept})


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
    ) -> None:
        if order not in ORDERS:
            raise ConfigError(f"order '{order}' is not known: choose one of {', '.join(ORDERS)}")
        if not (math.isfinite(temperature) and temperature > 0):
            raise ConfigError(f"temperature must be a finite number above 0, got {temperature}")
        self.peers = list(peers)
        self.learning = [k for k, peer in enumerate(self.peers) if not peer.frozen]
        if not self.learning:
            raise ConfigError("a cohort needs at least one peer that learns")
        self.rewire(matrix)
        self.order = order
        if mimicry not in losses.MIMICRY:
            raise ConfigError(f"mimicry '{mimicry}' is not known: choose one of {', '.join(losses.MIMICRY)}")
        self.temperature = temperature
        self.mimicry = losses.MIMICRY[mimicry]
        self.run = run

    def rewire(self, matrix: Tensor | Sequence[Sequence[float]]) -> None:
        """From now on let the peers learn from each other as this topology says, W (K, K)."""
        self.topology = topology.validate(matrix, peers=len(self.peers))
        self._weights = self.topology

    def step(self, images: Tensor, labels: Tensor) -> StepReport:
        """One mini-batch: every learning peer is updated once. Images (B, 3, H, W), labels (B,) int64."""
        logits = list(self.run(lambda peer: peer.predict(images), self.peers))
        published = self._publish(logits)

        def learn(k: int) -> Tensor:
            loss = self.loss(k, logits[k], published, labels)
            self.peers[k].update(loss.total)
            right = (logits[k].argmax(dim=1) == labels).to(loss.total.dtype).mean()
            return torch.stack([*loss, right]).detach()

        named = published.posteriors.new_full((len(StepReport._fields), len(self.peers)), torch.nan)
        if self.order == "simultaneous":
            for k, report in zip(self.learning, self.run(learn, self.learning), strict=True):
                named[:, k] = report
        else:
            for k in self.learning:
                named[:, k] = learn(k)
                if k != self.learning[-1]:
                    again = losses.publish(self.peers[k].predict_again(images), self.temperature)
                    published.posteriors[k], published.negative_entropies[k] = again
        return StepReport(*named)

    def loss(self, k: int, logits: Tensor, published: losses.Published, labels: Tensor) -> PeerLosses:
        """The named losses of peer k, each a scalar with gradient into `logits` (B, C)."""
        peer = self.peers[k]
        supervised = losses.cross_entropy(logits, labels, peer.label_smoothing)
        mimicry = self.mimicry(logits, published, self._weights[k], self.temperature)
        return PeerLosses(supervised, mimicry, peer.label_weight * supervised + peer.mimicry_weight * mimicry)

    def _publish(self, logits: list[Tensor]) -> losses.Published:
        shapes = {tuple(z.shape) for z in logits}
        if len(shapes) > 1:
            raise ConfigError(f"peers must predict the same classes, but their logits have shapes {sorted(shapes)}")
        published = losses.publish(torch.stack([losses.upcast(z) for z in logits]), self.temperature)
        # Copied to the posteriors' device once: a copy in every step would make the processor wait for the GPU.
        self._weights = self._weights.to(published.posteriors)
        return published


def _below(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The part of a state whose names begin with `prefix`, without it."""
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
