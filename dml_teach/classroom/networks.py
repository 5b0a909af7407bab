"""Networks so small that a step of theirs can be written down, which remember how they were used."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn


class Forward(NamedTuple):
    """One prediction: what was shown, in which mode, and whether a gradient was recorded."""

    images: Tensor
    training: bool
    gradient: bool


class Linear(nn.Module):
    """Logits = images @ weight + bias, in the type of its weights; `seen` holds every prediction."""

    def __init__(self, weight: Tensor, bias: Tensor, training: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.detach().clone())
        self.bias = nn.Parameter(bias.detach().clone())
        self.train(training)
        self.seen: list[Forward] = []

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, D) -> logits (B, C)."""
        self.seen.append(Forward(images.detach().clone(), self.training, torch.is_grad_enabled()))
        return images @ self.weight + self.bias


class Descent(torch.optim.SGD):
    """Plain gradient descent that counts its steps."""

    def __init__(self, network: nn.Module, rate: float) -> None:
        super().__init__(network.parameters(), lr=rate)
        self.steps = 0

    def step(self, closure: Any = None) -> Any:
        """One step."""
        self.steps += 1
        return super().step(closure)


def load_optimizers() -> None:
    """PyTorch loads much with the first optimizer, which takes seconds that are not the student's."""
    torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)


def leftovers(network: nn.Module) -> None:
    """What an earlier step has left in the gradients."""
    for weight in network.parameters():
        weight.grad = torch.full_like(weight, 0.75)
