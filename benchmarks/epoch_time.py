"""How long an epoch takes: each network alone, CIFAR-100's 50 000 images in batches of 64, on this machine's device.

    python benchmarks/epoch_time.py [--networks small,resnet32] [--device auto] [--rounds 5] [--steps 2]

No epoch is run: some steps are timed, with their batches (crop, flip, normalise), and the epoch is extrapolated from
them. A line says how many times as long a network takes as the first one, timed in the same rounds, and the time of its
epoch: medians over the rounds with their spread (smallest to largest). K peers take K times as long, or less where a
machine has the cores to train them side by side. The images are random bytes.
"""

from collections.abc import Iterator

import torch
from timing import Step, paired, parser
from torch import Tensor

from dml_teach import models, topology
from dml_teach.cohort import Cohort, Peer
from dml_teach.data.batches import Batches
from dml_teach.data.images import ImageSet
from dml_teach.devices import DTYPES, choose, precision

IMAGES, BATCH = 50_000, 64
MEAN, STD = (0.507, 0.487, 0.441), (0.267, 0.256, 0.276)


def for_ever(batches: Batches) -> Iterator[tuple[Tensor, ...]]:
    while True:
        yield from batches


def step_of(name: str, device: torch.device) -> Step:
    """A training step of one network, with the making of its batch."""
    order, augmentation = torch.Generator().manual_seed(0), torch.Generator().manual_seed(1)
    pixels = torch.randint(256, (16 * BATCH, 3, 32, 32), dtype=torch.uint8, generator=order)
    names = tuple(str(label) for label in range(100))
    data = ImageSet(pixels, torch.arange(len(pixels)) % 100, names, "random", MEAN, STD, may_store_images=True)
    batches = for_ever(Batches(data, BATCH, augment=True, order=order, augmentation=augmentation, device=device))
    network = models.build(name, generator=order).to(device).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, nesterov=True)
    peer = Peer(network, optimizer, precision=DTYPES[precision("auto", device)])
    alone = Cohort([peer], topology.independent(1))

    def step() -> object:
        images, labels = next(batches)
        return alone.step(images, labels)

    return step


def duration(seconds: float) -> str:
    """In seconds, minutes or hours, whichever reads best."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"


def main() -> None:
    options = parser(__doc__, rounds=5, steps=2)
    options.add_argument("--networks", default=",".join(models.NAMES), help="default: all")
    options.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    chosen = options.parse_args()
    torch.set_num_threads(1)
    device, epoch = choose(chosen.device), -(-IMAGES // BATCH)
    first, *_ = names = chosen.networks.split(",")
    print(
        f"an epoch of {IMAGES} images, extrapolated from {chosen.rounds} x {chosen.steps} of its {epoch} steps;"
        f" {device}, {precision('auto', device)}, channels_last, one thread"
    )
    for name in names:
        ratio = paired(step_of(name, device), step_of(first, device), rounds=chosen.rounds, steps=chosen.steps)
        low, high = (duration(epoch * seconds) for seconds in ratio.spread)
        print(f"{name} / {first}: {ratio}; {duration(epoch * ratio.seconds[0])} an epoch ({low} to {high})", flush=True)


if __name__ == "__main__":
    main()
