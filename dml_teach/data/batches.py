"""Mini-batches from images that stay on the device, cropped and flipped a whole batch at a time.

The usual augmentation of small images, and the paper's for CIFAR: pad by 4 pixels of reflection, crop at random, flip
at random. Image by image, that takes about as long as training a small network; two observations make it one gather:

- In memory a crop is a stack of rows, and a row is one run of bytes: only the first byte of each row is to be found.
- Reflection already holds the mirror image. The row `a b c d`, reflected on and on, is `... c b a b c d c b a b ...`,
  where every other stretch runs backwards: a flipped crop is a plain crop further to the right.

So each row is extended once, when the batches are made; from then on a crop with its flip is two numbers per image. The
price is memory: 71 pixels stay on the device for a row of 32 (for the CIFAR-100 training images 341 MB, not 154 MB).
"""

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TypedDict

import torch
import torch.nn.functional as F
from torch import Tensor

from dml_teach.data.images import ImageSet
from dml_teach.errors import CheckpointError, ConfigError, DataError

PAD = 4  # pixels of reflection on each side
SHIFTS = 2 * PAD + 1  # places for a crop along each axis


def normalise(images: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """(pixel / 255 - mean) / std: images (B, C, H, W) uint8 become float32 of the same shape, in channels_last format.

    `mean` and `std` hold one number per channel. The formula is applied as pixel * scale + shift, two operations that
    round alike on every device. Raises `DataError` for images that are not uint8: they may have been scaled before.
    """
    if images.dtype != torch.uint8:
        raise DataError(f"images: normalise takes the bytes as they were read, torch.uint8, and not {images.dtype}")
    count, channels, height, width = images.shape
    scale, shift = _row_constants(mean, std, width, images.device)
    rows = images.permute(0, 2, 3, 1).reshape(count * height, width * channels)
    return rows.float().mul_(scale).add_(shift).view(count, height, width, channels).permute(0, 3, 1, 2)


@lru_cache(maxsize=16)
def _row_constants(
    mean: tuple[float, ...], std: tuple[float, ...], width: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Scale and shift, each (W * C,): written out for a whole row, as arithmetic is fast on long runs, not on triples.

    They are kept from call to call: making them copies them to the device, and every batch would wait for that.
    """
    scale = [1 / (255 * s) for s in std]
    shift = [-m / s for m, s in zip(mean, std, strict=True)]
    return torch.tensor(scale * width, device=device), torch.tensor(shift * width, device=device)


def resized(images: Tensor, sizes: Sequence[tuple[int, int]]) -> Tensor:
    """Images (B, C, H, W) float32 resized to each (height, width) in turn, bilinear, averaging where they shrink."""
    for size in sizes:
        images = F.interpolate(images, size, mode="bilinear", antialias=True)
    return images.contiguous(memory_format=torch.channels_last) if sizes else images


def evaluation_batches(
    data: ImageSet, batch_size: int, device: str | torch.device = "cpu", *, sizes: Sequence[tuple[int, int]] = ()
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches in the order of `data`, neither shuffled nor augmented; the last may be smaller.

    Each is images (B, C, H, W) float32, normalised, `resized` to `sizes`, channels_last, and labels (B,) int64, both on
    `device`. Raises `ConfigError` for a batch size below 1.
    """
    _check_batch_size(batch_size)
    images, labels = data.images.to(device), data.labels.to(device)
    parts = (slice(start, start + batch_size) for start in range(0, len(data), batch_size))
    return ((resized(normalise(images[part], data.mean, data.std), sizes), labels[part]) for part in parts)


def draw_crops(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """For each image its crop's top and left edge in the padded one, 0 to 8, and whether to flip it: (count,) each."""
    top, left = torch.randint(SHIFTS, (2, count), generator=generator)
    flip = torch.randint(2, (count,), generator=generator).bool()
    return top, left, flip


def reflected(size: int, length: int) -> Tensor:
    """Which of `size` pixels, reflected on and on, stands at the places -PAD, -PAD + 1, ...: (length,) int64."""
    period = 2 * size - 2  # the pixels at the two ends are not repeated
    place = torch.arange(-PAD, length - PAD).remainder(period)
    return torch.minimum(place, period - place)


def _check_batch_size(batch_size: int) -> None:
    if batch_size < 1:
        raise ConfigError(f"batch_size: {batch_size}; choose at least 1")


class BatchesState(TypedDict):
    """Both generators' states as the epoch began, and `position`, the number of batches served since."""

    order: Tensor
    augmentation: Tensor
    position: int


class Batches:
    """Shuffled training batches; one `for images, labels in batches:` is one epoch.

    Each is images (B, C, H, W) float32, normalised, channels_last, and labels (B,) int64, both on `device`; the last
    may be smaller. With `augment`, each image has a crop and a flip of its own, in every epoch anew; without `crops`, a
    flip alone. With `clean`, each batch has a third part, the same images before augmentation, as images. All images
    are then `resized` to `sizes`, one after the other.

    `order` shuffles, `augmentation` crops and flips. Both are CPU generators whatever the device, and all of an epoch's
    draws are made as it begins: so a seed gives the same batches on every device, and the loop never waits for it.
    Without `augment`, pixels stay as they are and nothing is drawn from `augmentation`.

    What the next loop serves follows from `state()` alone. A loop that was left early goes on at the next batch, here
    or after `load_state` in another process; when the last batch had been served, it serves none and ends the epoch.

    Raises `ConfigError` for a batch size below 1, a generator that is not on the CPU, or images too small to be padded.
    """

    def __init__(
        self,
        data: ImageSet,
        batch_size: int,
        *,
        augment: bool,
        crops: bool = True,
        sizes: Sequence[tuple[int, int]] = (),
        order: torch.Generator,
        augmentation: torch.Generator,
        device: str | torch.device = "cpu",
        clean: bool = False,
    ) -> None:
        _check_batch_size(batch_size)
        for name, generator in (("order", order), ("augmentation", augmentation)):
            if generator.device.type != "cpu":
                raise ConfigError(f"{name}: a generator on {generator.device}; make it on the CPU, whatever the device")
        self.batch_size, self.augment, self.device = batch_size, augment, torch.device(device)
        self.clean, self.crops, self.sizes = clean, crops, tuple(sizes)
        self._order, self._augmentation = order, augmentation
        self._mean, self._std = data.mean, data.std
        self._count, self._channels, self._height, self._width = data.images.shape
        self._labels = data.labels.to(self.device)
        self._pixels = data.images.to(self.device).permute(0, 2, 3, 1).contiguous()  # (N, H, W, C)
        if augment:
            self._extend_rows()
        self._began = (order.get_state(), augmentation.get_state())
        self._plan: Tensor | None = None  # of the epoch under way
        self._position = 0

    def _extend_rows(self) -> None:
        height, width = self._height, self._width
        if min(height, width) <= PAD:
            raise ConfigError(f"augment: {height}x{width} pixels are too few to be padded by {PAD}; set it to False")
        columns = reflected(width, 2 * width - 1 + 2 * PAD)
        self._pixels = self._pixels[:, :, columns.to(self.device)].contiguous()  # (N, H, 2W + 7, C)
        # Every run of W pixels, wherever it begins: (bytes, W * C), a view that takes no memory.
        self._runs = self._pixels.view(-1).unfold(0, width * self._channels, 1)
        # Which rows of the image are seen by a crop with its top edge at 0, 1, ...: (SHIFTS, H).
        self._rows = reflected(height, height + 2 * PAD).unfold(0, height, 1).to(self.device)

    def __len__(self) -> int:
        return math.ceil(self._count / self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        if self._plan is None:
            self._began = (self._order.get_state(), self._augmentation.get_state())
            self._plan = self._draw_epoch()
        plan = self._plan
        # A loop begun before another one ended the epoch, or before a state was loaded, has nothing more to serve.
        while self._plan is plan and self._position < len(self):
            self._position += 1  # before the batch is handed out, so that a state taken in the loop's body counts it
            yield self._batch(plan, self._position - 1)
        if self._plan is plan:
            self._plan, self._position = None, 0

    def _draw_epoch(self) -> Tensor:
        """The epoch's images, in order, and with `augment` the top row and first column of each crop: (1 or 3, N)."""
        image = torch.randperm(self._count, generator=self._order)
        if not self.augment:
            return image[None].to(self.device)
        top, left, flip = draw_crops(self._count, self._augmentation)
        if not self.crops:
            top, left = torch.full_like(top, PAD), torch.full_like(left, PAD)  # shows the image itself
        mirrored = self._width - 1 + 2 * PAD - left  # here the extended row shows the same pixels backwards
        return torch.stack([image, top, torch.where(flip, mirrored, left)]).to(self.device)

    def _batch(self, plan: Tensor, number: int) -> tuple[Tensor, ...]:
        image, *crop = plan[:, number * self.batch_size : (number + 1) * self.batch_size]
        images, labels = self._images(image, *crop), self._labels.index_select(0, image)
        if not self.clean:
            return images, labels
        middle = [torch.full_like(image, PAD)] * len(crop)  # the crop that shows the image itself
        return images, labels, self._images(image, *middle)

    def _images(self, image: Tensor, *crop: Tensor) -> Tensor:
        pixels = self._crop(image, *crop) if self.augment else self._pixels.index_select(0, image)  # (B, H, W, C)
        return resized(normalise(pixels.permute(0, 3, 1, 2), self._mean, self._std), self.sizes)

    def _crop(self, image: Tensor, top: Tensor, column: Tensor) -> Tensor:
        row = image[:, None] * self._height + self._rows.index_select(0, top)  # (B, H)
        first_byte = (row * self._pixels.shape[2] + column[:, None]) * self._channels
        return self._runs.index_select(0, first_byte.view(-1)).view(-1, self._height, self._width, self._channels)

    def state(self) -> BatchesState:
        """All that is needed to go on with exactly the next batch, in this process or another."""
        under_way = self._plan is not None
        order, augmentation = self._began if under_way else (self._order.get_state(), self._augmentation.get_state())
        return {"order": order, "augmentation": augmentation, "position": self._position}

    def load_state(self, state: BatchesState) -> None:
        """Set both generators and the position, so that the next loop goes on with the batch after `state` was taken.

        Data and settings must be those of the run that took it. Raises `CheckpointError` when the position lies beyond
        the epoch or a generator refuses its state.
        """
        position = state["position"]
        if not 0 <= position <= len(self):
            raise CheckpointError(f"position: batch {position} of {len(self)}; use the data and batch size of that run")
        for name, generator, saved in (
            ("order", self._order, state["order"]),
            ("augmentation", self._augmentation, state["augmentation"]),
        ):
            try:
                generator.set_state(saved)
            except (RuntimeError, TypeError) as error:
                raise CheckpointError(f"{name}: not the state of a CPU generator; use another checkpoint") from error
        self._plan, self._position = None, position
