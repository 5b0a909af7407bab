"""Images that a data set holds more than once, byte for byte: which they are, and whether their labels agree.

Such a twin in the test file is a question that was set in training; twins with different labels are a question to
which no single answer is right. Pictures that are merely alike are not looked for.
"""

from collections.abc import Mapping
from typing import NamedTuple

from dml_teach.data.images import ImageSet, content_hashes


class Copy(NamedTuple):
    """One of several byte-identical images: the file it is in, its place there, from 0, and its class's name."""

    file: str
    place: int
    label: str


class Twins(NamedTuple):
    """All copies of one image, in the order of the files and of their places; `sha256` is that of its bytes."""

    sha256: str
    copies: tuple[Copy, ...]

    @property
    def conflict(self) -> bool:
        """Whether the copies have different labels."""
        return len({copy.label for copy in self.copies}) > 1

    @property
    def files(self) -> set[str]:
        """The files that hold a copy."""
        return {copy.file for copy in self.copies}


def find(files: Mapping[str, ImageSet]) -> list[Twins]:
    """The images of which there is more than one copy in the files together, ordered by their first copy.

    Args:
        files: a name, such as "train", for each set of images. An image without a label counts as of class "".
    """
    copies: dict[str, list[Copy]] = {}
    for name, images in files.items():
        names = (*images.class_names, "")  # -1, no label, is the last
        for index, (sha256, label) in enumerate(
            zip(content_hashes(images.images), images.labels.tolist(), strict=True)
        ):
            copies.setdefault(sha256, []).append(Copy(name, index, names[label]))
    return [Twins(sha256, tuple(found)) for sha256, found in copies.items() if len(found) > 1]
