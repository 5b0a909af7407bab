"""What a run would do and cost, before it starts: parameters, steps, memory, and every setting with its source."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dml_teach import models
from dml_teach.data.sets import Facts
from dml_teach.errors import ConfigError
from dml_teach.recipes import PAPER_SOURCES, Recipe

SLOTS = {"sgd": 1, "adam": 2}
"""Numbers that an optimizer keeps for each parameter: momentum, or two moments."""


def activation_bytes(network: nn.Module, batch_size: int, channels: int, height: int, width: int) -> int:
    """Bytes that one forward pass in train mode keeps for its backward pass, in fp32; counted, without computing.

    The network runs on PyTorch's "meta" device, where tensors have shapes and no numbers. Each storage counts once,
    however many operations keep it; parameters do not count.
    """
    network = copy.deepcopy(network).to("meta").train()
    own = {p.untyped_storage()._cdata for p in network.parameters()}
    # Storages are held here, so that none is freed and another counted under the same address.
    kept: dict[int, torch.UntypedStorage] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            kept[storage._cdata] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        network(torch.empty(batch_size, channels, height, width, device="meta"))
    return sum(storage.nbytes() for storage in kept.values())


def describe(
    peers: Sequence[str | nn.Module],
    topology: Tensor,
    data: Facts,
    subset: int | None,
    recipe: Recipe,
    device: torch.device,
) -> str:
    """The whole plan as text.

    Args:
        peers: the cohort, K names from `models.NAMES` or networks.
        topology: W (K, K).
        data: what is known of the data set, which need not be there.
        subset: how many images to train on; None for all but the recipe's probe images.
        recipe: hyper-parameters.
        device: where it would run.

    Raises:
        ConfigError: there are not so many images.
    """
    images = data.images - recipe.probe_images if subset is None else subset
    if not 1 <= images <= data.images - recipe.probe_images:
        raise ConfigError(
            f"subset: {images} training + {recipe.probe_images} probe images do not fit into the {data.images} of"
            f" {data.name}"
        )
    steps, pixels = -(-images // recipe.batch_size), data.channels * data.height * data.width
    lines = [
        f"{len(peers)} peer{'s'[: len(peers) > 1]} on {images} images of {data.name}, {device.type}",
        f"  {recipe.epochs} epochs of {steps} steps: {recipe.epochs * steps} steps of {recipe.batch_size} images",
        "",
        "peers",
    ]
    total = 0
    for k, peer in enumerate(peers):
        network = models.build(peer, data.classes, channels=data.channels) if isinstance(peer, str) else peer
        name = peer if isinstance(peer, str) else "frozen teacher"
        parameters = sum(p.numel() for p in network.parameters())
        state = 4 * parameters * (2 + SLOTS[recipe.optimizer])  # weights, gradients, and what the optimizer keeps
        activations = activation_bytes(network, recipe.batch_size, data.channels, data.height, data.width)
        total += state + activations
        teachers = [f"{l} ({topology[k, l]:.3g})" for l in range(len(peers)) if topology[k, l] > 0]
        lines.append(
            f"  {k} {name:<14} {parameters:>11,} parameters, {_mib(state)} with optimizer, {_mib(activations)}"
            f" activations; learns from {', '.join(teachers) or 'labels alone'}"
        )
    lines += [
        f"  memory: {_mib(total)} for the peers in fp32, {_mib(images * pixels)} for the images as bytes",
        "  (counted from shapes; what convolutions use for scratch comes on top)",
        "",
        f"recipe {recipe.name}",
    ]
    for field, value in vars(recipe).items():
        if field != "name":
            source = PAPER_SOURCES.get(field, "") if recipe.name == "paper" else ""
            lines.append(f"  {field:<16} {value!s:<14} {source}".rstrip())
    return "\n".join(lines)


def _mib(count: int) -> str:
    return f"{count / 2**20:,.1f} MiB"
