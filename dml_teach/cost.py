"""What peers on ranks cost, on paper: bytes and seconds a step, next to those of data parallelism.

A link takes `latency + bytes / bandwidth` seconds for a message. Collectives are counted as rings, in which every rank
sends to the next one:

    all-gather    N - 1 messages of what one rank has; what peers pay for their posteriors, rows x (B / shards) x C
    all-reduce    2 (N - 1) messages of an N-th of it; what data parallelism pays for its gradients

A step is as long as its slowest row computes, and then what it sends: once a step everybody waits for everybody. What
PyTorch hides of the gradients' way behind the backward pass is not counted, nor are the buffers that shards compare.
`benchmarks/ranks.py` holds the model against two and four ranks of this machine.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from dml_teach.errors import ConfigError
from dml_teach.layout import arrange, place

BYTES = 4  # of a number in fp32
PASSES = 3  # a backward pass multiplies about twice as much as the forward pass


class Link(NamedTuple):
    """What joins two ranks: latency in seconds, bandwidth in bytes a second."""

    latency: float
    bandwidth: float


LINKS = {
    "loopback": Link(500e-6, 500e6),
    "ethernet": Link(50e-6, 1.25e9),
    "infiniband": Link(5e-6, 25e9),
    "nvlink": Link(5e-6, 200e9),
}
"""Orders of magnitude: gloo between processes of one machine, 10 Gbit/s, 200 Gbit/s, and between GPUs of one machine.
Measure your own."""
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "mbit": 1e6 / 8, "gbit": 1e9 / 8}
WRITTEN = re.compile(r"([\d.]+)(us|ms|s),([\d.]+)(mbit|gbit)", re.IGNORECASE)


class Load(NamedTuple):
    """A peer: its parameters, and the seconds that a step of it takes on one rank, with the whole batch."""

    parameters: int
    seconds: float


class Step(NamedTuple):
    """A step of all peers. Bytes are those that one rank sends, the fullest; times are in seconds.

    Attributes:
        rows, shards: of the mesh; of data parallelism, every rank is a shard of every peer.
        posterior_bytes, gradient_bytes: sent by a rank.
        computing: of each row.
        exchange: of posteriors.
        averaging: of gradients.
    """

    rows: int
    shards: int
    posterior_bytes: float
    gradient_bytes: float
    computing: tuple[float, ...]
    exchange: float
    averaging: float

    @property
    def seconds(self) -> float:
        """Of the whole step."""
        return max(self.computing) + self.exchange + self.averaging

    @property
    def waiting(self) -> list[float]:
        """The share of the slowest row's time in which each row waits for it."""
        return [1 - own / max(self.computing) for own in self.computing]


def link(text: str) -> Link:
    """A link by its name in `LINKS`, or as latency and bandwidth, "50us,10Gbit".

    Raises:
        ConfigError: it is neither.
    """
    if text in LINKS:
        return LINKS[text]
    if not (found := WRITTEN.fullmatch(text.replace(" ", ""))):
        raise ConfigError(f"link '{text}' is not known: choose one of {', '.join(LINKS)}, or write it as 50us,10Gbit")
    latency, unit, bandwidth, rate = found.groups()
    return Link(float(latency) * UNITS[unit.lower()], float(bandwidth) * UNITS[rate.lower()])


def all_gather(ranks: int, size: float, over: Link) -> float:
    """Seconds until every rank has what each of them had, `size` bytes a rank."""
    return (ranks - 1) * (over.latency + size / over.bandwidth)


def all_reduce(ranks: int, size: float, over: Link) -> float:
    """Seconds until every rank has the sum of what each of them had, `size` bytes."""
    return 2 * (ranks - 1) * (over.latency + size / ranks / over.bandwidth)


def mutual(
    peers: Sequence[Load], ranks: int, *, batch: int, classes: int, over: Link, shards: int | None = None
) -> Step:
    """A step of mutual learning, laid out as `distributed` does it.

    Raises:
        ConfigError: the peers can not be laid out so.
    """
    rows, shards = arrange(len(peers), ranks, shards)
    homes = place(peers, rows)
    groups = [[peer for peer, home in zip(peers, homes, strict=True) if home == row] for row in range(rows)]
    posteriors = max(map(len, groups)) * batch / shards * classes * BYTES
    gradients = [BYTES * sum(peer.parameters for peer in group) for group in groups]
    return Step(
        rows, shards, (rows - 1) * posteriors, 2 * (shards - 1) / shards * max(gradients),
        tuple(sum(peer.seconds for peer in group) / shards for group in groups),
        all_gather(rows, posteriors, over), max(all_reduce(shards, size, over) for size in gradients),
    )  # fmt: skip


def data_parallel(peers: Sequence[Load], ranks: int, *, over: Link) -> Step:
    """The same networks without mutual learning, one after the other, each on all ranks with a shard of the batch."""
    gradients = BYTES * sum(peer.parameters for peer in peers)
    computing = sum(peer.seconds for peer in peers) / ranks
    averaging = sum(all_reduce(ranks, BYTES * peer.parameters, over) for peer in peers)
    return Step(1, ranks, 0.0, 2 * (ranks - 1) / ranks * gradients, (computing,), 0.0, averaging)


def operations(network: nn.Module, batch: int, channels: int, height: int, width: int) -> int:
    """Floating-point operations of a training step, counted from shapes: convolutions and products of matrices."""
    network = network.to("meta").train()
    with FlopCounterMode(display=False) as counter:
        network(torch.empty(batch, channels, height, width, device="meta"))
    return PASSES * counter.get_total_flops()


def fitted(times: Sequence[tuple[float, float]]) -> Link:
    """The link that explains measured seconds of messages of so many bytes best, in relative error: [(bytes, seconds)].

    Raises:
        ConfigError: there are fewer than two sizes.
    """
    if len({size for size, _ in times}) < 2:
        raise ConfigError("a link has two numbers: measure messages of at least two sizes")
    sizes, seconds = (torch.tensor(column, dtype=torch.float64) for column in zip(*times, strict=True))
    rows = torch.stack([torch.ones_like(sizes), sizes], dim=1) / seconds[:, None]
    latency, per_byte = torch.linalg.lstsq(rows, torch.ones_like(seconds)[:, None]).solution.flatten().tolist()
    return Link(max(latency, 0.0), 1 / max(per_byte, 1e-15))


def describe(names: Sequence[str], peers: Sequence[Load], ranks: int, *, batch: int, classes: int, over: Link) -> str:
    """The plan as text: the step on so many ranks, who waits, and from one rank to 1 024."""
    step = mutual(peers, ranks, batch=batch, classes=classes, over=over)
    parallel = data_parallel(peers, ranks, over=over)
    lines = [
        f"{len(peers)} peer{'s'[: len(peers) > 1]} on {ranks} rank{'s'[: ranks > 1]}, batches of {batch}, {classes}"
        f" classes; link {over.latency * 1e6:.3g} us, {over.bandwidth / 1e9:.3g} GB/s",
        *(
            f"  {k} {name:<14} {load.parameters:>11,} parameters, {_time(load.seconds)} a step on a rank by itself"
            for k, (name, load) in enumerate(zip(names, peers, strict=True))
        ),
        "",
        f"{'a step':<30}{'mutual learning':>18}{'data parallel':>18}",
        f"{'  shards of a batch':<30}{step.shards:>18}{parallel.shards:>18}",
        f"{'  a rank sends, posteriors':<30}{_bytes(step.posterior_bytes):>18}{_bytes(0):>18}",
        f"{'  a rank sends, gradients':<30}{_bytes(step.gradient_bytes):>18}{_bytes(parallel.gradient_bytes):>18}",
        f"{'  computing':<30}{_time(max(step.computing)):>18}{_time(max(parallel.computing)):>18}",
        f"{'  on the link':<30}{_time(step.seconds - max(step.computing)):>18}{_time(parallel.averaging):>18}",
        f"{'  in all':<30}{_time(step.seconds):>18}{_time(parallel.seconds):>18}",
        "",
        *_who_waits(names, peers, step),
        "",
        "                  these peers on so many ranks          as many peers as ranks",
        f"{'ranks':>6}{'mutual':>20}{'data parallel':>18}{'mutual':>18}{'a rank sends':>18}",
    ]
    for count in (2**power for power in range(11)):
        cohort = [peers[k % len(peers)] for k in range(count)]
        grown = mutual(cohort, count, batch=batch, classes=classes, over=over)
        try:
            own = _time(mutual(peers, count, batch=batch, classes=classes, over=over).seconds)
        except ConfigError:
            own = "-"
        lines.append(
            f"{count:>6}{own:>20}{_time(data_parallel(peers, count, over=over).seconds):>18}"
            f"{_time(grown.seconds):>18}{_bytes(grown.posterior_bytes):>18}"
        )
    return "\n".join(lines)


def _who_waits(names: Sequence[str], peers: Sequence[Load], step: Step) -> list[str]:
    homes = place(peers, step.rows)
    held = [" and ".join(f"{k} {names[k]}" for k, home in enumerate(homes) if home == row) for row in range(step.rows)]
    slowest = max(range(step.rows), key=lambda row: step.computing[row])
    waiting = [
        f"  the rank of {who} waits {100 * share:.0f} % of each step for that of {held[slowest]}"
        for who, share in zip(held, step.waiting, strict=True)
        if share > 0.005
    ]
    return ["who waits", *(waiting or ["  nobody: all rows compute as long"])]


def _time(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1e3 * seconds:.3g} ms"


def _bytes(count: float) -> str:
    return f"{count / 1e6:,.3g} MB" if count >= 1e6 else f"{count / 1e3:,.3g} kB"
