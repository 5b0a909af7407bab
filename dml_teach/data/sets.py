"""Data sets by name, as the command line and the notebooks ask for them."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from dml_teach.data import bundled, cifar, market1501, omniglot, tiny_market
from dml_teach.data.images import ImageSet
from dml_teach.data.retrieval import TestSet
from dml_teach.errors import ConfigError

Root = Path | str | None


class Facts(NamedTuple):
    """A data set: what is known of it without reading it, and how it is read.

    Attributes:
        name: as everywhere.
        images: training images.
        channels, height, width: of each.
        classes: of the training images; in a test of retrieval, identities.
        load: training images and the test, from (root, download).
        retrieval: whether the test is one of retrieval.
    """

    name: str
    images: int
    channels: int
    height: int
    width: int
    classes: int
    load: Callable[[Root, bool], tuple[ImageSet, TestSet]]
    retrieval: bool = False


def _bundled(root: Root, download: bool) -> tuple[ImageSet, TestSet]:
    return bundled.load("train"), bundled.load("test")


def _cifar(archive: cifar.Archive, root: Root, download: bool) -> tuple[ImageSet, TestSet]:
    if download:
        cifar.download(archive, root)
    return cifar.load(archive, "train", root), cifar.load(archive, "test", root)


FACTS = {
    facts.name: facts
    for facts in (
        Facts("bundled", 2000, 1, 28, 28, 10, _bundled),
        Facts("cifar10", 50_000, 3, 32, 32, 10, partial(_cifar, cifar.CIFAR10)),
        Facts("cifar100", 50_000, 3, 32, 32, 100, partial(_cifar, cifar.CIFAR100)),
        Facts("tiny-market", 1200, 3, 64, 32, 100, lambda root, _: tiny_market.load(root), retrieval=True),
        Facts("omniglot", 605, 1, 32, 32, 121, lambda root, _: omniglot.load(root), retrieval=True),
        Facts("market1501", 12_936, 3, 128, 64, 751, lambda root, _: market1501.load(root), retrieval=True),
    )
}
NAMES = tuple(FACTS)


def check(name: str) -> None:
    """Raise `ConfigError` unless there is a data set of that name."""
    if name not in FACTS:
        raise ConfigError(f"data set '{name}' is not known: choose one of {', '.join(FACTS)}")


def load(name: str, root: Path | str | None = None, *, download: bool = False) -> tuple[ImageSet, TestSet]:
    """Training images and the test of a data set, as images of the same classes or as query and gallery.

    Args:
        name: one of `NAMES`.
        root: where the user's copy lies, for the CIFARs the folder with the binary files or its parent; None looks in
            the usual place. What the package makes or brings itself needs none.
        download: fetch CIFAR-10 or CIFAR-100 first if it is not there; the others can not be fetched.
    """
    check(name)
    return FACTS[name].load(root, download)
