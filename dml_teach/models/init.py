"""The first weights of a network: every number is drawn here, and from one generator."""

import math

import torch
from torch import Tensor, nn


def he_normal(weight: Tensor, groups: int = 1, generator: torch.Generator | None = None) -> None:
    """Fill a convolution's weight (out, in / groups, k, k) from N(0, 2 / fan_out), fan_out = out * k * k / groups.

    He et al. 2015 (arXiv:1502.01852): equation 10, with fan_in, keeps the variance of the signal on the way forward,
    equation 14, with fan_out, that of the gradient on the way back. Batch norm looks after the way forward, so we look
    after the way back.
    """
    fan_out = weight.shape[0] * weight.shape[2] * weight.shape[3] / groups
    # Drawn in fp64, then rounded: machines whose log and cos differ in the last bit still agree on the rounded weight.
    draw = torch.randn(weight.shape, dtype=torch.float64, device="cpu", generator=generator)
    weight.copy_(draw.mul_(math.sqrt(2 / fan_out)))


def uniform_by_fan_in(values: Tensor, fan_in: int, generator: torch.Generator | None = None) -> None:
    """Fill `values` uniformly from +-1 / sqrt(fan_in).

    On features of size s the logits then have size s / sqrt(3), about s^2 / 6 above ln(classes) in the first loss: a
    number to check before training. After batch norm and ReLU s is near .4, so an untrained network's posterior is
    almost flat.
    """
    draw = torch.rand(values.shape, dtype=torch.float64, device="cpu", generator=generator)
    values.copy_(draw.mul_(2).sub_(1).div_(math.sqrt(fan_in)))


@torch.no_grad()
def initialise(network: nn.Module, generator: torch.Generator | None = None) -> None:
    """Give `network` its first weights, in the order of `network.modules()`.

    Convolutions: `he_normal`. Batch norm: as its `reset_parameters` says, weight 1 (in residual branches less), bias 0,
    running mean 0, running variance 1. Linear layers: weight
    and bias by `uniform_by_fan_in`. `generator` is a CPU generator; None means PyTorch's global one.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            he_normal(module.weight, module.groups, generator)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()  # draws nothing: ones, zeros and fresh running statistics
        elif isinstance(module, nn.Linear):
            uniform_by_fan_in(module.weight, module.in_features, generator)
            uniform_by_fan_in(module.bias, module.in_features, generator)
