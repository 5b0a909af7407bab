"""What the mutual step costs: ResNet-32, batches of 64 CIFAR-sized images, on this machine's CPU, one thread.

    python benchmarks/mutual_step.py

Each line is a ratio of times, the median over paired rounds with its spread (minimum to maximum); both sides of a round
run one after the other in the same minute. Peers of the comparison:

    bare loop      forward, cross-entropy, backward, SGD: nothing of this library but the network
    pairwise loop  mutual learning as public PyTorch code commonly writes it: for every pair `KLDivLoss` on softmaxes,
                   `.item()` on every loss of every step, contiguous memory
"""

import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dml_teach import models, topology
from dml_teach.cohort import Cohort, Peer

ROUNDS, STEPS = 7, 3


def networks(count: int, memory_format: torch.memory_format) -> list[nn.Module]:
    built = [models.build("resnet32", generator=torch.Generator().manual_seed(seed)) for seed in range(count)]
    return [network.to(memory_format=memory_format) for network in built]


def optimizers(built: list[nn.Module]) -> list[torch.optim.Optimizer]:
    return [torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, nesterov=True) for network in built]


def library(count: int, matrix: Tensor, order: str, images: Tensor, labels: Tensor) -> Callable[[], object]:
    built = networks(count, torch.channels_last)
    cohort = Cohort([Peer(*pair) for pair in zip(built, optimizers(built), strict=True)], matrix, order=order)
    return lambda: cohort.step(images, labels)


def bare_loop(images: Tensor, labels: Tensor) -> Callable[[], object]:
    (network,) = built = networks(1, torch.channels_last)
    (optimizer,) = optimizers(built)

    def step() -> None:
        loss = F.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def pairwise_loop(count: int, images: Tensor, labels: Tensor) -> Callable[[], object]:
    built = networks(count, torch.contiguous_format)
    steps, images = optimizers(built), images.contiguous()
    divergence = nn.KLDivLoss(reduction="batchmean")

    def step() -> None:
        logits = [network(images) for network in built]
        for k in range(count):
            loss = F.cross_entropy(logits[k], labels)
            for l in range(count):
                if l != k:
                    teacher = F.softmax(logits[l].detach(), dim=1)
                    loss = loss + divergence(F.log_softmax(logits[k], dim=1), teacher) / (count - 1)
            steps[k].zero_grad()
            loss.backward()
            steps[k].step()
            loss.item()

    return step


def compare(name: str, ours: Callable[[], object], peer: Callable[[], object]) -> None:
    """Time both in turns and print the ratio ours / peer."""
    ratios = []
    for _ in range(ROUNDS + 1):
        seconds = []
        for step in (ours, peer):
            started = time.perf_counter()
            for _ in range(STEPS):
                step()
            seconds.append(time.perf_counter() - started)
        ratios.append(seconds[0] / seconds[1])
    ratios = ratios[1:]  # the first round warms up
    print(f"{name}: {statistics.median(ratios):.2f} x ({min(ratios):.2f} to {max(ratios):.2f})")


def main() -> None:
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(64, 3, 32, 32, generator=generator).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(100, (64,), generator=generator)

    def step(count: int, matrix: Tensor, order: str = "simultaneous") -> Callable[[], object]:
        return library(count, matrix, order, images, labels)

    compare("independent step / bare loop", step(1, topology.independent(1)), bare_loop(images, labels))
    for count in (2, 4):
        independent = topology.independent(count)
        mutual = topology.mutual(count)
        compare(f"mutual / independent, K = {count}", step(count, mutual), step(count, independent))
        compare(f"sequential / independent, K = {count}", step(count, mutual, "sequential"), step(count, independent))
        compare(f"mutual / pairwise loop, K = {count}", step(count, mutual), pairwise_loop(count, images, labels))


if __name__ == "__main__":
    main()
