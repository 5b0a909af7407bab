"""Data sets by name, as the command line and the notebooks ask for them."""

from pathlib import Path
from typing import NamedTuple

from dml_teach.data import bundled, cifar100
from dml_teach.data.images import ImageSet
from dml_teach.errors import ConfigError


class Facts(NamedTuple):
    """What is known of a data set without reading it: training images, and the shape of each."""

    name: str
    images: int
    channels: int
    height: int
    width: int
    classes: int


FACTS = {
    facts.name: facts for facts in (Facts("bundled", 2000, 1, 28, 28, 10), Facts("cifar100", 50_000, 3, 32, 32, 100))
}
NAMES = tuple(FACTS)


def check(name: str) -> None:
    """Raise `ConfigError` unless there is a data set of that name."""
    if name not in NAMES:
        raise ConfigError(f"data set '{name}' is not known: choose one of {', '.join(NAMES)}")


def load(name: str, root: Path | str | None = None, *, download: bool = False) -> tuple[ImageSet, ImageSet]:
    """Training and test images of a data set.

    Args:
        name: one of `NAMES`.
        root: for CIFAR-100 the folder with the binary files, or its parent; None looks where `cifar100.locate` says.
        download: fetch the data set first if it is not there.
    """
    check(name)
    if name == "bundled":
        return bundled.load("train"), bundled.load("test")
    if download and cifar100.locate(root) is None:
        cifar100.download(root)
    return cifar100.load("train", root), cifar100.load("test", root)
