"""Who is this? Images with an identity and a camera, and the two sets of them that a retrieval test needs.

A test of re-identification asks for each *query* image which images of the *gallery* show the same identity, seen by
another camera. The identities are not those of training. Two numbers are no identities (Market-1501's convention):

     0  a distractor: nobody who is asked for, a wrong answer to every query
    -1  junk: a bad detection, neither right nor wrong; it is left out of every ranking
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from dml_teach.data.images import ImageSet
from dml_teach.errors import DataError

JUNK, DISTRACTOR = -1, 0


@dataclass(frozen=True, eq=False)
class IdentitySet:
    """N images, who is on them and which camera took them.

    images            (N, C, H, W) uint8, N >= 1
    identities        (N,) int64: 1 and up, `DISTRACTOR` or `JUNK`
    cameras           (N,) int64
    names             file names or other marks that find an image again, N of them
    name              of the set, for messages

    Raises `DataError` naming the field when the parts do not fit together.
    """

    images: Tensor
    identities: Tensor
    cameras: Tensor
    names: tuple[str, ...]
    name: str

    def __post_init__(self) -> None:
        images, count = self.images, len(self.images)
        if images.dtype != torch.uint8 or images.ndim != 4 or images.numel() == 0:
            raise DataError(
                f"images of {self.name}: {tuple(images.shape)} {str(images.dtype).removeprefix('torch.')};"
                " give (N, C, H, W) uint8 with at least one image"
            )
        for field in ("identities", "cameras"):
            values: Tensor = getattr(self, field)
            if values.dtype != torch.int64 or values.shape != (count,):
                raise DataError(f"{field} of {self.name}: give ({count},) int64, one for each image")
        if int(self.identities.min()) < JUNK:
            raise DataError(f"identities of {self.name}: {int(self.identities.min())}; -1 is junk, the least there is")
        if len(self.names) != count:
            raise DataError(f"names of {self.name}: {len(self.names)} for {count} images; give one for each")

    def __len__(self) -> int:
        return len(self.images)

    def take(self, indices: Tensor) -> "IdentitySet":
        """The images at `indices` (n,), in that order."""
        names = tuple(self.names[i] for i in indices.tolist())
        return IdentitySet(self.images[indices], self.identities[indices], self.cameras[indices], names, self.name)


@dataclass(frozen=True, eq=False)
class RetrievalSet:
    """A test of retrieval: which images of `gallery` show the identity of each image of `query`?

    query, gallery    what is asked for, and where it is looked for
    name              of the data set: "market1501", "tiny-market", "omniglot"
    mean, std         one number per channel, for pixels scaled to [0, 1]; those of the training images
    may_store_images  whether the terms of the data let a recording hold the pixels
    multi_query       more images of each query's identity by the query's camera, or None: Market-1501's gt_bbox
    """

    query: IdentitySet
    gallery: IdentitySet
    name: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    may_store_images: bool
    multi_query: IdentitySet | None = None

    def __post_init__(self) -> None:
        for part in (self.gallery, self.multi_query):
            if part is not None and part.images.shape[1:] != self.query.images.shape[1:]:
                raise DataError(
                    f"images of {part.name} have shape {tuple(part.images.shape[1:])}, those of {self.query.name}"
                    f" {tuple(self.query.images.shape[1:])}; give all one size"
                )

    def __len__(self) -> int:
        return len(self.query) + len(self.gallery)

    def unlabelled(self, part: IdentitySet) -> ImageSet:
        """One of the parts as images without labels, as the networks see them."""
        unknown = torch.full((len(part),), -1)
        return ImageSet(part.images, unknown, (), part.name, self.mean, self.std, self.may_store_images)


TestSet = ImageSet | RetrievalSet
"""What a run is tested on: images of the classes it was trained on, or identities that it has not seen."""
