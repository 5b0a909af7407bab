"""A peer: one network with all that it learns with, whatever the number of peers and the topology around it.

The forward pass may run in half precision (PyTorch's autocast: parameters stay in fp32, and so do all losses), or
compiled. What a peer carries from step to step, `state`, is what an exact resume needs.
"""

import copy
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from dml_teach.errors import CheckpointError, ConfigError
from dml_teach.models.dropout import Dropout

COMPILED_FORMS = 4
"""How many versions of one network `torch.compile` may come to hold: a full batch and the epoch's last, with and
without features."""


class Echo(NamedTuple):
    """In place of a network: peer `of` as its own teacher, frozen, on images that are not augmented."""

    of: int


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
        feature_weight: weight of the distance between features, the paper's L2 variant; above 0, every peer of the
            cohort must be a network of `models`.
        precision: of the forward pass, torch.float32, bfloat16 or float16; with the last, gradients are scaled.
        decay: of the exponential moving average of the weights, which is then what is evaluated; 0 keeps none.
        generator: where the network's dropout draws from, on the network's device; None is PyTorch's global one.
        compiled: run the forward pass through `torch.compile`, on CUDA as CUDA graphs.
        clean: look at the images before augmentation, where the cohort is given them.

    Raises:
        ConfigError: anything above is not so.
    """

    network: nn.Module
    optimizer: torch.optim.Optimizer | None = None
    frozen: bool = False
    label_weight: float = 1.0
    mimicry_weight: float = 1.0
    label_smoothing: float = 0.0
    feature_weight: float = 0.0
    precision: torch.dtype = torch.float32
    decay: float = 0.0
    generator: torch.Generator | None = None
    compiled: bool = False
    clean: bool = False

    def __post_init__(self) -> None:
        for name in ("label_weight", "mimicry_weight", "feature_weight"):
            weight = getattr(self, name)
            if not (math.isfinite(weight) and weight >= 0):
                raise ConfigError(f"{name} must be a finite number of at least 0, got {weight}")
        if not 0 <= self.decay < 1:
            raise ConfigError(f"decay must be a share from 0 to below 1, got {self.decay}")
        if self.frozen and self.optimizer is not None:
            raise ConfigError("a frozen peer does not learn: give it no optimizer")
        if not self.frozen and self.optimizer is None:
            raise ConfigError("a peer that learns needs an optimizer (or frozen=True for a static teacher)")
        if self.optimizer is not None:
            own = {id(p) for p in self.network.parameters()}
            if any(id(p) not in own for group in self.optimizer.param_groups for p in group["params"]):
                raise ConfigError("a peer's optimizer must hold the parameters of its own network alone")
        self.device = next((p.device for p in self.network.parameters()), torch.device("cpu"))
        self.scaler = None
        if self.precision == torch.float16 and not self.frozen:
            self.scaler = torch.amp.GradScaler(self.device.type)
        self.average = None
        if self.decay:
            average = get_ema_multi_avg_fn(self.decay)
            self.average = AveragedModel(self.network, multi_avg_fn=average, use_buffers=True)
        for module in self.network.modules():
            if self.generator is not None and isinstance(module, Dropout):
                module.generator = self.generator
        self._look: Callable[[nn.Module, Tensor, bool], tuple[Tensor, Tensor | None]] = _look
        if self.compiled:
            self._look = _compile(self.device)

    @property
    def evaluated(self) -> nn.Module:
        """The network that predicts when the peer is judged: the average of its weights if there is one."""
        return self.network if self.average is None else self.average.module

    def predict(self, images: Tensor) -> Tensor:
        """Logits (B, C): with gradient in train mode, or, for a frozen peer, without gradient in eval mode."""
        return self.see(images)[0]

    def see(self, images: Tensor, features: bool = False) -> tuple[Tensor, Tensor | None]:
        """Logits (B, C) as from `predict`, and the features (B, D) that they are read off, if they are asked for."""
        self.network.train(not self.frozen)
        with torch.set_grad_enabled(not self.frozen), self._autocast():
            return self._look(self.network, images, features)

    def spread(self, wrap: Callable[[nn.Module], nn.Module]) -> None:
        """From now on look through `wrap(module)`, which averages gradients with those of the peer's other shards.

        The module takes what `see` does, and `network` keeps the names of its parameters.
        """
        body = wrap(_Seen(self.network, self._look))
        self._look = lambda _, images, features: body(images, features)

    @torch.no_grad()
    def predict_again(self, images: Tensor) -> Tensor:
        """Logits (B, C) after an update: in train mode, without gradient.

        Running statistics stay where the first prediction left them.
        """
        scratch = {name: buffer.clone() for name, buffer in self.network.named_buffers()}
        with self._autocast():
            return torch.func.functional_call(self.network, scratch, (images,))

    def update(self, loss: Tensor) -> None:
        """One step of the optimizer down the gradient of `loss` (scalar)."""
        assert self.optimizer is not None
        self.optimizer.zero_grad()
        if self.scaler is None:
            loss.backward()
            self.optimizer.step()
        else:  # fp16 loses small gradients; a step whose gradients overflow is left out, and the scale halved
            self.scaler.scale(loss).backward()
            self.scaler.step(self.optimizer)
            self.scaler.update()
        if self.average is not None:
            self.average.update_parameters(self.network)

    def state(self) -> dict[str, Tensor]:
        """All that the peer carries from one step to the next, by name: the tensors themselves, no copies."""
        found = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        if self.optimizer is not None:
            for number, kept in self.optimizer.state_dict()["state"].items():
                found |= {f"optimizer.{number}.{key}": v for key, v in kept.items() if isinstance(v, Tensor)}
        if self.average is not None:
            found |= {f"average.{name}": value for name, value in self.average.state_dict().items()}
        if self.scaler is not None:
            kept = self.scaler.state_dict()
            found |= {f"scaler.{name}": torch.tensor(kept[name], dtype=torch.float64) for name in SCALER_STATE}
        if self.generator is not None:
            found["generator"] = self.generator.get_state()
        return found

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Go on where `state()` was taken, in this process or another.

        Raises:
            CheckpointError: it is the state of another network, or of a peer with other settings.
        """
        try:
            self.network.load_state_dict(_below("network.", state))
            if self.average is not None:
                self.average.load_state_dict(_below("average.", state))
            if self.scaler is not None:
                scale, tracker = (state[f"scaler.{name}"].item() for name in SCALER_STATE)
                self.scaler.load_state_dict(
                    {**self.scaler.state_dict(), "scale": scale, "_growth_tracker": int(tracker)}
                )
            if self.generator is not None:
                self.generator.set_state(state["generator"])
        except (RuntimeError, KeyError) as error:
            reason = " ".join(str(error).split())
            raise CheckpointError(f"the checkpoint does not fit a {type(self.network).__name__}: {reason}") from error
        if self.optimizer is not None:
            self._load_optimizer(self.optimizer, _below("optimizer.", state))

    def _load_optimizer(self, optimizer: torch.optim.Optimizer, state: dict[str, Tensor]) -> None:
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        kept: dict[int, dict[str, Tensor]] = {}
        for name, value in state.items():
            number, key = name.split(".", 1)
            parameter = parameters[int(number)]
            if value.shape == parameter.shape:
                # In the parameter's memory format: in another one, sums may be fused and rounded differently.
                value = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
            kept.setdefault(int(number), {})[key] = value
        optimizer.load_state_dict({**optimizer.state_dict(), "state": kept})

    def _autocast(self) -> torch.autocast:
        half = self.precision != torch.float32
        return torch.autocast(self.device.type, dtype=self.precision if half else None, enabled=half)


SCALER_STATE = ("scale", "_growth_tracker")
"""What a gradient scaler carries from step to step."""


def echo(peer: Peer) -> Peer:
    """The peer as its own teacher: frozen, in eval mode, on clean images, with the *same* parameters and statistics.

    The copy has modules of its own, so that one can be in eval mode while the other trains, and shares every tensor.
    """
    shared = {id(tensor): tensor for tensor in itertools.chain(peer.network.parameters(), peer.network.buffers())}
    generators = {id(m.generator): None for m in peer.network.modules() if isinstance(m, Dropout) and m.generator}
    return Peer(
        copy.deepcopy(peer.network, {**shared, **generators}),
        frozen=True,
        precision=peer.precision,
        compiled=peer.compiled,
        clean=True,
    )


def _look(network: nn.Module, images: Tensor, features: bool) -> tuple[Tensor, Tensor | None]:
    if not features:
        return network(images), None
    found = network.features(images)  # type: ignore[operator]
    return network.head(found), found  # type: ignore[operator]


class _Seen(nn.Module):
    """A network as `see` looks at it, as a module, so that it can be wrapped like one."""

    def __init__(self, network: nn.Module, look: Callable[[nn.Module, Tensor, bool], Any]) -> None:
        super().__init__()
        self.network, self.look = network, look

    def forward(self, images: Tensor, features: bool) -> tuple[Tensor, Tensor | None]:
        return self.look(self.network, images, features)


def _compile(device: torch.device) -> Callable[[nn.Module, Tensor, bool], tuple[Tensor, Tensor | None]]:
    """`_look` for one peer. CUDA graphs reuse memory: see `Cohort.step` for how outputs of several peers stay alive."""
    import torch._dynamo.config as limits  # loads the compiler, so only here

    # All networks share the code that is compiled, and the limit counts what they hold together.
    limits.recompile_limit += COMPILED_FORMS
    return torch.compile(_look, dynamic=False, mode="reduce-overhead" if device.type == "cuda" else None)


def _below(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The part of a state whose names begin with `prefix`, without it."""
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
