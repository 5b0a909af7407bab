"""How much faster `Batches` is than torchvision's DataLoader over PIL images, on one thread.

    python benchmarks/batches.py [--rounds 7] [--steps 1]

Both shuffle, crop (reflection padding of 4), flip and normalise the same 32x32 colour images in batches of 64: ours a
batch at a time, the other image by image, without worker processes. A step of the command line is an epoch. The line
gives the median of the paired rounds' ratios with its spread (smallest to largest). The images are random bytes.
"""

from collections.abc import Iterable, Sequence

import torch
from PIL import Image
from timing import Step, paired, parser
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from dml_teach.data.batches import Batches
from dml_teach.data.images import ImageSet

IMAGES = 4_096
BATCH = 64
MEAN, STD = (0.507, 0.487, 0.441), (0.267, 0.256, 0.276)


class PilImages(Dataset):
    """Images as PIL holds them, decoded once, and transformed one by one when asked for."""

    def __init__(self, data: ImageSet) -> None:
        self.images = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in data.images]
        self.labels = data.labels.tolist()
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(32, padding=4, padding_mode="reflect"),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(MEAN, STD),
            ]
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(self.images[index]), self.labels[index]


def epoch(batches: Iterable[Sequence[torch.Tensor]]) -> Step:
    return lambda: sum(len(labels) for _, labels in batches)


def main() -> None:
    chosen = parser(__doc__, rounds=7, steps=1).parse_args()
    torch.set_num_threads(1)
    order, augmentation = torch.Generator().manual_seed(0), torch.Generator().manual_seed(1)
    pixels = torch.randint(256, (IMAGES, 3, 32, 32), dtype=torch.uint8, generator=order)
    names = tuple(str(label) for label in range(100))
    data = ImageSet(pixels, torch.arange(IMAGES) % 100, names, "random", MEAN, STD, may_store_images=True)
    ours = epoch(Batches(data, BATCH, augment=True, order=order, augmentation=augmentation))
    theirs = epoch(DataLoader(PilImages(data), BATCH, shuffle=True, num_workers=0))
    # An epoch of ours takes some milliseconds, too short for one reading of the clock.
    ratio = paired(theirs, ours, rounds=chosen.rounds, steps=chosen.steps, other_steps=20 * chosen.steps)
    slow, fast = (IMAGES / seconds for seconds in ratio.seconds)
    print(
        f"torchvision's DataLoader over PIL images / batches: {ratio}; {fast:,.0f} against {slow:,.0f} images/s, one"
        " thread"
    )


if __name__ == "__main__":
    main()
