"""Dropout that can be told where its chance comes from."""

import torch
from torch import Tensor, nn

from dml_teach.errors import ConfigError


class Dropout(nn.Module):
    """Zero each element with probability `p`, divide the rest by 1 - p: `torch.nn.Dropout` with a generator of its own.

    Peers that draw from one global generator disturb each other: whether a neighbour trains, and in which order, would
    change a peer's own masks. Set `module.generator` to a `torch.Generator` on the device of the data, and the masks
    depend on it alone. None, the start value, means PyTorch's global generator. In eval mode, and for p = 0, nothing is
    drawn or changed. `torch.compile` can not trace a generator: with one set, it splits the graph here.

    Raises:
        ConfigError: `p` is not in [0, 1).
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ConfigError(f"dropout = {p!r}: a probability from 0 up to, but not including, 1 is needed")
        self.p = p
        self.generator: torch.Generator | None = None

    def forward(self, values: Tensor) -> Tensor:
        """Return `values`, of any shape, with a fresh mask in training mode; the shape and type stay as they are."""
        if not self.training or self.p == 0:
            return values
        keep = torch.empty_like(values).bernoulli_(1 - self.p, generator=self.generator)
        return values * keep / (1 - self.p)
