"""How firmly a network stands: its loss after its parameters have been shaken.

The paper compares minima this way: the smaller the rise of the loss, the flatter the minimum. It does not say how its
noise was scaled; here it is relative. A parameter tensor w with n numbers becomes

    w + scale * (||w|| / sqrt(n)) * e,   e standard normal

so `scale` is the ratio of the noise's standard deviation to the root mean square of the tensor it falls on. This does
not change when the weights before a batch norm are all doubled, which leaves the network the same function: noise of a
fixed size would call the doubled network flatter. A tensor of zeros stays as it is. Batch-norm statistics are no
parameters and are not shaken.
"""

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from dml_teach.data.images import ImageSet
from dml_teach.errors import ConfigError
from dml_teach.evaluation import predict
from dml_teach.metrics import nll

SCALE = 0.1
DRAWS = 8


def relative_noise(w: Tensor, generator: torch.Generator) -> Tensor:
    """Gaussian noise of w's shape whose standard deviation is w's root mean square, ||w|| / sqrt(n); no gradient."""
    w = w.detach()
    return standard_noise(w, generator) * w.square().mean().sqrt()


def standard_noise(w: Tensor, generator: torch.Generator) -> Tensor:
    """Gaussian noise of w's shape and of standard deviation 1, whatever stands in w."""
    return torch.randn(w.shape, generator=generator).to(w.detach())  # on the CPU: every device gets the same


def loss_under_noise(
    network: nn.Module,
    data: ImageSet,
    device: torch.device,
    scales: Sequence[float],
    generator: torch.Generator,
    draws: int = DRAWS,
    noise: Callable[[Tensor, torch.Generator], Tensor] = relative_noise,
) -> Tensor:
    """Mean cross-entropy after Gaussian noise on the parameters, in nats, in eval mode and without augmentation.

    The noise falls on a copy, so the network stays as it is whatever happens. A draw is one direction e, followed to
    every scale: the curve over the scales is smooth, and curves of several networks that are given equal generators
    are paired.

    Args:
        network: on `device`.
        data: the images, the training images in the paper.
        device: where the network lies.
        scales: S scales as defined above, from 0; 0 gives the plain loss.
        generator: on the CPU.
        draws: D, how many directions.
        noise: what falls on a tensor at scale 1. With `standard_noise` a scale is the
            standard deviation itself, the same for every weight, and depends on how the network is written.

    Returns:
        (S, D) float64.
    """
    if draws < 1 or not scales or min(scales) < 0:
        raise ConfigError(f"scales = {list(scales)}, draws = {draws}: give scales from 0 up and at least one draw")
    shaken = copy.deepcopy(network)
    pairs = list(zip(network.parameters(), shaken.parameters(), strict=True))
    losses = torch.empty(len(scales), draws, dtype=torch.float64)
    for d in range(draws):
        direction = [noise(w, generator) for w, _ in pairs]
        for s, scale in enumerate(scales):
            with torch.no_grad():
                for (w, copied), e in zip(pairs, direction, strict=True):
                    copied.copy_(w + scale * e)
            losses[s, d] = nll(predict(shaken, data, device), data.labels)
    return losses


def sharpness(
    network: nn.Module,
    data: ImageSet,
    device: torch.device,
    generator: torch.Generator,
    scale: float = SCALE,
    draws: int = DRAWS,
) -> Tensor:
    """Rise of the loss from no noise to noise of the given scale, mean over the draws, in nats: a scalar, float64.

    Arguments as in `loss_under_noise`. Only values at one scale, on the same images, can be compared.
    """
    plain = loss_under_noise(network, data, device, [0.0], torch.Generator(), draws=1)  # once is enough
    return (loss_under_noise(network, data, device, [scale], generator, draws) - plain).mean()
