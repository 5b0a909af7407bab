"""Batches for learning who is who: P identities, K images of each, so that every image has its like beside it.

An epoch shows every image. An identity's images are shuffled and dealt into hands of K, the last one filled up with
images that repeat; a batch is P hands of different identities. An identity with many hands must be in many batches, so
the epoch has as many as the longest needs, or as all hands together need, whichever is more. What is then still free is
filled with hands of identities that are not in the batch, drawn anew.
"""

import math
from collections.abc import Iterator
from typing import TypedDict

import torch
from torch import Tensor

from dml_teach.errors import CheckpointError, ConfigError, DataError


class SamplerState(TypedDict):
    """The generator's state as the epoch began, and `position`, the number of batches served since."""

    generator: Tensor
    position: int


class IdentitySampler:
    """Indices of batches of P identities with K images each; one `for indices in sampler:` is one epoch.

    Each is `indices` (P * K,) int64, one identity after the other. Every image is in at least one batch of an epoch; no
    identity is twice in a batch; an image is twice in a hand only when its identity has not K that differ.
    `len(sampler)` is the exact number of batches.

    What the next loop serves follows from `state()` alone. A loop that was left early goes on at the next batch, here
    or after `load_state` in another process; when the last batch had been served, it serves none and ends the epoch.

    Args:
        labels: (N,) int64, the identity of each image, from 0; that of `ImageSet.labels`.
        identities: P.
        images: K.
        generator: shuffles; on the CPU.

    Raises:
        ConfigError: P or K is below 1, or there are fewer than P identities; or the generator is not on the CPU.
        DataError: a label is below 0 or of another type: its identity is not known.
    """

    def __init__(self, labels: Tensor, *, identities: int, images: int, generator: torch.Generator) -> None:
        if labels.dtype != torch.int64 or labels.ndim != 1 or len(labels) == 0 or int(labels.min()) < 0:
            raise DataError("labels: give (N,) int64 from 0, one for each image; leave out images nobody knows")
        self._members = [(labels == label).nonzero().flatten() for label in labels.unique()]
        if not 1 <= identities <= len(self._members):
            raise ConfigError(
                f"identities: {identities} of the {len(self._members)} that there are; choose fewer, from 1"
            )
        if images < 1:
            raise ConfigError(f"images: {images} of each identity; choose at least 1")
        if generator.device.type != "cpu":
            raise ConfigError(f"generator: on {generator.device}; make it on the CPU")
        self.identities, self.images = identities, images
        self._generator = generator
        self._hands = [math.ceil(len(members) / images) for members in self._members]
        self._began = generator.get_state()
        self._plan: Tensor | None = None  # of the epoch under way
        self._position = 0

    def __len__(self) -> int:
        return max(math.ceil(sum(self._hands) / self.identities), *self._hands)

    def __iter__(self) -> Iterator[Tensor]:
        if self._plan is None:
            self._began = self._generator.get_state()
            self._plan = self._draw_epoch()
        plan = self._plan
        # A loop begun before another one ended the epoch, or before a state was loaded, has nothing more to serve.
        while self._plan is plan and self._position < len(self):
            self._position += 1  # before the batch is handed out, so that a state taken in the loop's body counts it
            yield plan[self._position - 1]
        if self._plan is plan:
            self._plan, self._position = None, 0

    def _draw_epoch(self) -> Tensor:
        """All batches of an epoch (len, P * K)."""
        dealt = [self._deal(members) for members in self._members]
        batches = []
        for left in range(len(self), 0, -1):
            chosen = self._choose(torch.tensor([len(hands) for hands in dealt]), left)
            batches.append(torch.cat([dealt[i].pop() if dealt[i] else self._deal(self._members[i])[0] for i in chosen]))
        return torch.stack(batches)

    def _deal(self, members: Tensor) -> list[Tensor]:
        """An identity's images in hands of K: shuffled, and from the start again to fill the last."""
        shuffled = members[torch.randperm(len(members), generator=self._generator)]
        places = torch.arange(math.ceil(len(members) / self.images) * self.images) % len(members)
        return list(shuffled[places].split(self.images))

    def _choose(self, waiting: Tensor, left: int) -> list[int]:
        """P identities for the next of the `left` batches to come; `waiting` are the hands that each still has.

        First those that must be in every batch from now on, then by chance those that have hands left, then others.
        """
        rank = 2 * (waiting == left).long() + (waiting > 0).long()
        shuffled = torch.randperm(len(waiting), generator=self._generator)
        chosen: list[int] = shuffled[rank[shuffled].argsort(descending=True, stable=True)][: self.identities].tolist()
        return chosen

    def state(self) -> SamplerState:
        """All that is needed to go on with exactly the next batch, in this process or another."""
        generator = self._generator.get_state() if self._plan is None else self._began
        return {"generator": generator, "position": self._position}

    def load_state(self, state: SamplerState) -> None:
        """Set the generator and the position, so that the next loop goes on with the batch after `state` was taken.

        Data and settings must be those of the run that took it. Raises `CheckpointError` when the position lies beyond
        the epoch or the generator refuses its state.
        """
        position = state["position"]
        if not 0 <= position <= len(self):
            raise CheckpointError(f"position: batch {position} of {len(self)}; use the labels and sizes of that run")
        try:
            self._generator.set_state(state["generator"])
        except (RuntimeError, TypeError) as error:
            raise CheckpointError("generator: not the state of a CPU generator; use another checkpoint") from error
        self._plan, self._position = None, position
