"""What the mutual step costs: ResNet-32, batches of 64 CIFAR-sized images, on this machine's CPU, one thread.

    python benchmarks/mutual_step.py [--rounds 7] [--steps 3]

Each line is a ratio of times, the median over paired rounds with its spread (smallest to largest); both sides of a
round run one after the other. All sides have the precision that a recipe's "auto" has on this CPU, and channels_last
images. The bare loop is forward, cross-entropy, backward and SGD: nothing of this library but the network. In
`public_loops.py` the same step is compared with mutual learning as others write it.
"""

from collections.abc import Sequence
from functools import partial

import torch
import torch.nn.functional as F
from timing import Step, paired, parser
from torch import Tensor, nn

from dml_teach import models, topology
from dml_teach.cohort import Cohort, Peer
from dml_teach.devices import DTYPES, peers_side_by_side, precision

CPU = torch.device("cpu")
PRECISION = precision("auto", CPU)


def batch() -> tuple[Tensor, Tensor]:
    """Images (64, 3, 32, 32), channels_last, and labels (64,)."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(64, 3, 32, 32, generator=generator).contiguous(memory_format=torch.channels_last)
    return images, torch.randint(100, (64,), generator=generator)


def networks(count: int, memory_format: torch.memory_format = torch.channels_last) -> list[nn.Module]:
    built = [models.build("resnet32", generator=torch.Generator().manual_seed(seed)) for seed in range(count)]
    return [network.to(memory_format=memory_format) for network in built]


def optimizers(built: Sequence[nn.Module]) -> list[torch.optim.Optimizer]:
    return [torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, nesterov=True) for network in built]


def cohort(matrix: Tensor, order: str = "simultaneous") -> Cohort:
    built = networks(len(matrix))
    peers = [Peer(*pair, precision=DTYPES[PRECISION]) for pair in zip(built, optimizers(built), strict=True)]
    return Cohort(peers, matrix, order=order)


def library(matrix: Tensor, images: Tensor, labels: Tensor, order: str = "simultaneous") -> Step:
    """The step of this library for len(matrix) peers, one after the other."""
    return partial(cohort(matrix, order).step, images, labels)


def bare_loop(images: Tensor, labels: Tensor) -> Step:
    (network,) = built = networks(1)
    (optimizer,) = optimizers(built)

    def step() -> None:
        with torch.autocast("cpu", dtype=DTYPES[PRECISION], enabled=PRECISION != "fp32"):
            logits = network(images)
        loss = F.cross_entropy(logits.float(), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def main() -> None:
    chosen = parser(__doc__, rounds=7, steps=3).parse_args()
    torch.set_num_threads(1)
    images, labels = batch()

    def line(name: str, ours: Step, peer: Step) -> None:
        print(f"{name}: {paired(ours, peer, rounds=chosen.rounds, steps=chosen.steps)}", flush=True)

    print(f"precision {PRECISION}, channels_last, one thread")
    line("independent step / bare loop", library(topology.independent(1), images, labels), bare_loop(images, labels))
    for count in (2, 4):
        independent = library(topology.independent(count), images, labels)
        mutual = library(topology.mutual(count), images, labels)
        line(f"mutual / independent, K = {count}", mutual, independent)
        sequential = library(topology.mutual(count), images, labels, order="sequential")
        line(f"sequential / independent, K = {count}", sequential, independent)
        with peers_side_by_side(count, CPU) as run:
            threaded = cohort(topology.mutual(count))
            threaded.run = run
            line(f"thread per peer / one thread, K = {count}", partial(threaded.step, images, labels), mutual)


if __name__ == "__main__":
    main()
