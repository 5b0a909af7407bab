"""How much faster `Batches` is than torchvision's DataLoader over PIL images, on one thread.

    python benchmarks/batches.py

Both shuffle, crop (reflection padding of 4), flip and normalise the same 32x32 colour images in batches of 64: ours a
batch at a time, the other image by image, without worker processes. Each round times both, one right after the other;
the line gives the median of the rounds' ratios, the smallest and the largest. The images are random bytes.
"""

import statistics
import time
from collections.abc import Iterable

import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from dml_teach.data.batches import Batches
from dml_teach.data.images import ImageSet

IMAGES = 4_096
BATCH = 64
ROUNDS = 7
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


def images_per_second(batches: Iterable[tuple[torch.Tensor, torch.Tensor]], epochs: int) -> float:
    started = time.perf_counter()
    served = sum(len(labels) for _ in range(epochs) for _, labels in batches)
    return served / (time.perf_counter() - started)


def main() -> None:
    torch.set_num_threads(1)
    order, augmentation = torch.Generator().manual_seed(0), torch.Generator().manual_seed(1)
    pixels = torch.randint(256, (IMAGES, 3, 32, 32), dtype=torch.uint8, generator=order)
    names = tuple(str(label) for label in range(100))
    data = ImageSet(pixels, torch.arange(IMAGES) % 100, names, "random", MEAN, STD, may_store_images=True)
    ours = Batches(data, BATCH, augment=True, order=order, augmentation=augmentation)
    theirs = DataLoader(PilImages(data), BATCH, shuffle=True, num_workers=0)
    # An epoch of ours takes some milliseconds, too short for one reading of the clock.
    rounds = [(images_per_second(ours, epochs=20), images_per_second(theirs, epochs=1)) for _ in range(ROUNDS + 1)]
    rounds = rounds[1:]  # the first one warms up
    ratios = [fast / slow for fast, slow in rounds]
    fast, slow = (statistics.median(speeds) for speeds in zip(*rounds, strict=True))
    print(
        f"batches: {statistics.median(ratios):.0f} x torchvision's DataLoader over PIL images"
        f" ({min(ratios):.0f} to {max(ratios):.0f} in {ROUNDS} paired rounds; {fast:,.0f} against {slow:,.0f} images/s,"
        " one thread)"
    )


if __name__ == "__main__":
    main()
