"""What a run would do and cost, before it starts: parameters, steps, memory, and every setting with its source; and
what its peers would cost on several ranks."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dml_teach import cost, devices, models
from dml_teach.data.sets import Facts
from dml_teach.errors import ConfigError
from dml_teach.peer import Echo
from dml_teach.recipes import SOURCES, Recipe, sizes

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
    peers: Sequence[str | nn.Module | Echo],
    topology: Tensor,
    data: Facts,
    subset: int | None,
    recipe: Recipe,
    device: torch.device,
) -> str:
    """The whole plan as text.

    Args:
        peers: the cohort, K of what `trainer.fit` takes; a network given as such is a frozen teacher.
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
        f"  forward pass in {devices.precision(recipe.precision, device)}",
        "",
        "peers",
    ]
    total = 0
    for k, peer in enumerate(peers):
        row, needed = _peer(peer, peers, data, recipe)
        total += needed
        teachers = [f"{l} ({topology[k, l]:.3g})" for l in range(len(peers)) if topology[k, l] > 0]
        lines.append(
            f"  {k} {row}; learns from {', '.join(teachers) or ('nobody' if _taught(peer) else 'labels alone')}"
        )
    lines += [
        f"  memory: {_mib(total)} for the peers in fp32, {_mib(images * pixels)} for the images as bytes",
        "  (counted from shapes; half precision takes less, what convolutions use for scratch comes on top)",
        "",
        f"recipe {recipe.name}",
    ]
    for field, value in vars(recipe).items():
        if field != "name":
            source = SOURCES.get(recipe.name, {}).get(field, "")
            lines.append(f"  {field:<16} {value!s:<14} {source}".rstrip())
    return "\n".join(lines)


def on_ranks(
    names: Sequence[str],
    data: Facts,
    recipe: Recipe,
    ranks: int,
    link: str,
    speed: float,
    seconds: str = "",
) -> str:
    """What a cohort costs on several ranks, as text; see `cost`.

    Args:
        names: of the networks that learn from each other.
        data: what is known of the data set, which need not be there.
        recipe: for the batch size and the size of the images.
        ranks: how many there are.
        link: between them, as `cost.link` reads it.
        speed: floating-point operations a second of one rank, from which the time of a step is estimated.
        seconds: of a step of each network on one rank, where they are known better, as ".12,.3".

    Raises:
        ConfigError: a network or link is not known, or the peers can not be laid out over so many ranks.
    """
    try:
        known = [float(each) for each in seconds.split(",") if each]
    except ValueError:
        raise ConfigError(f"seconds '{seconds}' are not numbers; write them as .12,.3") from None
    if known and len(known) != len(names):
        raise ConfigError(f"seconds: {len(known)} numbers for {len(names)} peers; give one for each")
    height, width = (sizes(recipe.resize) or ((data.height, data.width),))[-1]
    loads: dict[str, cost.Load] = {}
    for name in dict.fromkeys(names):
        network = _network(name, data, height, width)
        parameters = sum(p.numel() for p in network.parameters())
        counted = cost.operations(network, recipe.batch_size, data.channels, height, width)
        loads[name] = cost.Load(parameters, counted / speed)
    peers = [loads[name] for name in names]
    peers = [peer._replace(seconds=own) for peer, own in zip(peers, known or [p.seconds for p in peers], strict=True)]
    return cost.describe(names, peers, ranks, batch=recipe.batch_size, classes=data.classes, over=cost.link(link))


def _taught(peer: str | nn.Module | Echo) -> bool:
    return not isinstance(peer, str)


def _peer(
    peer: str | nn.Module | Echo, peers: Sequence[str | nn.Module | Echo], data: Facts, recipe: Recipe
) -> tuple[str, int]:
    """A peer's line of the plan, and its bytes."""
    if isinstance(peer, Echo):
        return f"{f'peer {peer.of} itself':<14} on images before augmentation, frozen", 0
    height, width = (sizes(recipe.resize) or ((data.height, data.width),))[-1]
    network = _network(peer, data, height, width) if isinstance(peer, str) else peer
    parameters = sum(p.numel() for p in network.parameters())
    if not isinstance(peer, str):
        return f"{'frozen teacher':<14} {parameters:>11,} parameters, {_mib(4 * parameters)}", 4 * parameters
    # Weights, gradients, what the optimizer keeps, and the moving average.
    state = 4 * parameters * (2 + SLOTS[recipe.optimizer] + bool(recipe.ema))
    activations = activation_bytes(network, recipe.batch_size, data.channels, height, width)
    line = f"{peer:<14} {parameters:>11,} parameters, {_mib(state)} with optimizer, {_mib(activations)} activations"
    return line, state + activations


def _network(name: str, data: Facts, height: int, width: int) -> nn.Module:
    return models.build(name, data.classes, channels=data.channels, **models.suited(name, height, width))


def _mib(count: int) -> str:
    return f"{count / 2**20:,.1f} MiB"
