"""How much longer mutual learning takes as others write it: ResNet-32, batches of 64 CIFAR-sized images, on this CPU.

    python benchmarks/public_loops.py [--side-by-side] [--rounds 7] [--steps 3]

Each line is the time of one of these loops over that of `Cohort.step`, the median over paired rounds with its spread
(smallest to largest). The loops are written here anew, from what public code does; all of them give images in
contiguous memory:

    plain          for every pair `KLDivLoss` on softmaxes, in fp32, and `.item()` on every loss of every step
    packaged       the same at T = 3 and with Adam
    autocast       the pairs as in the plain loop, the forward pass in half precision, without `.item()`
    re-forwarding  for every pair both networks predict anew, mean squared error of the logits, and gradients flow into
                   both of them, though only one is updated

The first and the third compute what ours does. Ours has the precision that a recipe's "auto" has here, channels_last,
and the peers one after the other in one thread, as all loops have. With --side-by-side ours has a thread per peer and
the others have all cores inside each operation, which is PyTorch's default.
"""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from mutual_step import CPU, PRECISION, batch, cohort, networks, optimizers
from timing import Step, paired, parser
from torch import Tensor, nn

from dml_teach import topology
from dml_teach.devices import DTYPES, peers_side_by_side


def pair_loss(logits: list[Tensor], k: int, labels: Tensor, temperature: float = 1.0) -> Tensor:
    """Cross-entropy of peer k and the mean of its divergences from each of the others."""
    loss = F.cross_entropy(logits[k], labels)
    for l in range(len(logits)):
        if l != k:
            teacher = F.softmax(logits[l].detach() / temperature, dim=1)
            divergence = nn.KLDivLoss(reduction="batchmean")(F.log_softmax(logits[k] / temperature, dim=1), teacher)
            loss = loss + temperature**2 * divergence / (len(logits) - 1)
    return loss


def descend(loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def plain(count: int, images: Tensor, labels: Tensor) -> Step:
    built = networks(count, torch.contiguous_format)
    descents = optimizers(built)

    def step() -> None:
        logits = [network(images) for network in built]
        for k in range(count):
            loss = pair_loss(logits, k, labels)
            descend(loss, descents[k])
            loss.item()

    return step


def packaged(count: int, images: Tensor, labels: Tensor) -> Step:
    built = networks(count, torch.contiguous_format)
    descents = [torch.optim.Adam(network.parameters()) for network in built]

    def step() -> None:
        logits = [network(images) for network in built]
        for k in range(count):
            loss = pair_loss(logits, k, labels, temperature=3.0)
            descend(loss, descents[k])
            loss.item()

    return step


def autocast(count: int, images: Tensor, labels: Tensor) -> Step:
    built = networks(count, torch.contiguous_format)
    descents = optimizers(built)

    def step() -> None:
        with torch.autocast("cpu", dtype=DTYPES[PRECISION], enabled=PRECISION != "fp32"):
            logits = [network(images) for network in built]
        for k in range(count):
            descend(pair_loss([z.float() for z in logits], k, labels), descents[k])

    return step


def re_forwarding(count: int, images: Tensor, labels: Tensor) -> Step:
    built = networks(count, torch.contiguous_format)
    descents = optimizers(built)

    def step() -> None:
        for k in range(count):
            loss = F.cross_entropy(built[k](images), labels)
            for l in range(count):
                if l != k:
                    loss = loss + F.mse_loss(built[k](images), built[l](images)) / (count - 1)
            descend(loss, descents[k])

    return step


LOOPS: dict[str, Callable[[int, Tensor, Tensor], Step]] = {
    "plain": plain,
    "packaged": packaged,
    "autocast": autocast,
    "re-forwarding": re_forwarding,
}


def with_threads(threads: int, step: Step) -> Step:
    """The step with so many of PyTorch's own threads inside an operation."""

    def run() -> None:
        torch.set_num_threads(threads)
        step()
        torch.set_num_threads(1)

    return run


def main() -> None:
    options = parser(__doc__, rounds=7, steps=3)
    options.add_argument("--side-by-side", action="store_true", help="ours: a thread per peer; the others: all cores")
    chosen = options.parse_args()
    cores = torch.get_num_threads()
    torch.set_num_threads(1)
    images, labels = batch()
    how = f"a thread per peer (the others: {cores} inside each operation)" if chosen.side_by_side else "one thread"
    print(f"ours: {PRECISION}, channels_last, {how}")
    for count in (2, 4):
        with peers_side_by_side(count if chosen.side_by_side else 1, CPU) as run:
            ours = cohort(topology.mutual(count))
            ours.run = run
            our_step = partial(ours.step, images, labels)
            for name, loop in LOOPS.items():
                theirs = loop(count, images.contiguous(), labels)
                if chosen.side_by_side:
                    theirs = with_threads(cores, theirs)
                ratio = paired(theirs, our_step, rounds=chosen.rounds, steps=chosen.steps)
                print(f"{name} loop / ours, K = {count}: {ratio}", flush=True)


if __name__ == "__main__":
    main()
