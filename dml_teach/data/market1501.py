"""Market-1501 (Zheng et al., 2015): which of 19 732 pictures show the passer-by of this one, seen by another camera?

Its pictures show real people who were not asked. They are not part of this project and may not be handed on: whoever
has them names their folder or zip archive. Four folders are read:

    bounding_box_train   what is learnt from: 751 people
    query                what is asked for: 750 other people, each once for every camera that saw them
    bounding_box_test    the gallery; among it 2 798 distractors and 3 819 pieces of junk
    gt_bbox              if it is there, boxes drawn by hand: more pictures of a query's person by the query's camera

All else follows from a picture's name: `0002_c1s1_000451_03.jpg` is person 2 by camera 1, sequence 1, frame 451, box 3.
Person 0000 is a distractor and -1 junk. Whatever has these folders and names can be read, with its own `Expected`.
"""

import os
import re
from pathlib import Path
from typing import NamedTuple

import pooch
import torch

from dml_teach.data import prepared
from dml_teach.data.decoding import SIDE
from dml_teach.data.images import ImageSet
from dml_teach.data.prepared import Prepared
from dml_teach.data.retrieval import DISTRACTOR, JUNK, IdentitySet, RetrievalSet
from dml_teach.data.sources import Source, opened, shown
from dml_teach.errors import ConfigError, DataError

TRAIN, GALLERY, QUERY, BOXES = "bounding_box_train", "bounding_box_test", "query", "gt_bbox"
FOLDERS = (TRAIN, GALLERY, QUERY, BOXES)
NAME = re.compile(r"(-1|[0-9]{4})_c([0-9])s[0-9]_[0-9]{6}_[0-9]{2}(?:\.jpe?g|\.png){1,2}", re.IGNORECASE)
WAY_OUT = "unpack Market-1501-v15.09.15.zip again, or name it: `dml-teach data market1501 --from PATH`"


class Expected(NamedTuple):
    """What a data set in this layout must hold.

    name              of the data set
    training          images of `training_ids` people
    query             images of `query_ids` other people
    gallery           images, of the people of `query`, `distractors` and `junk`
    cameras           numbered from 1
    may_store_images  whether its terms let a recording hold the pixels
    way_out           what to do when something is not as it should be
    """

    name: str
    training: int
    training_ids: int
    query: int
    query_ids: int
    gallery: int
    distractors: int
    junk: int
    cameras: int
    may_store_images: bool
    way_out: str


MARKET1501 = Expected("market1501", 12_936, 751, 3_368, 750, 19_732, 2_798, 3_819, 6, False, WAY_OUT)


class Mark(NamedTuple):
    """What a file name tells."""

    identity: int
    camera: int


def load(
    root: Path | str | None = None,
    *,
    size: tuple[int, int] = (128, 64),
    expected: Expected = MARKET1501,
    cache: Path | str | None = None,
) -> tuple[ImageSet, RetrievalSet]:
    """The training images with people as classes, and the test of retrieval, all (N, 3, H, W) of `size` = (H, W).

    `root` is the folder of the data set, its parent, or its zip archive; None reads what was prepared before. Decoded
    images are kept in `cache` (see `cache_folder`) and used until the files change. Labels are 0 to 750 by ascending
    identity, `class_names` the identities as they are written in the names; mean and deviation are of the training
    images. Raises `DataError` naming what is missing, damaged or not as `expected`; `ConfigError` for a size out of
    range.
    """
    ready = _ready(root, size, expected, cache)
    labels, names = _labels(ready.names[TRAIN])
    images = ready.images[TRAIN]
    train = ImageSet(images, labels, names, expected.name, ready.mean, ready.std, expected.may_store_images)
    return train, RetrievalSet(
        query=_identities(ready, QUERY, expected),
        gallery=_identities(ready, GALLERY, expected),
        name=expected.name,
        mean=ready.mean,
        std=ready.std,
        may_store_images=expected.may_store_images,
        multi_query=_identities(ready, BOXES, expected) if BOXES in ready.names else None,
    )


def training(
    root: Path | str | None = None,
    *,
    size: tuple[int, int] = (128, 64),
    expected: Expected = MARKET1501,
    cache: Path | str | None = None,
) -> IdentitySet:
    """The training images of `load`, in the same order, with identity and camera."""
    return _identities(_ready(root, size, expected, cache), TRAIN, expected)


def prepare(
    source: Path | str,
    cache: Path | str | None = None,
    *,
    size: tuple[int, int] = (128, 64),
    expected: Expected = MARKET1501,
) -> str:
    """Check a folder or zip archive, decode its images into `cache`, and return what was found, a few lines of text.

    Afterwards `load()` finds them. Raises `DataError` as `load` does, and then leaves `cache` as it was.
    """
    ready = _ready(source, size, expected, cache)
    marks = {part: [mark(name, name) for name in names] for part, names in ready.names.items()}
    lines = [f"{expected.name} in {shown(_prepared_folder(size, expected, cache))}, {size[0]}x{size[1]} pixels"]
    for part, found in marks.items():
        people = len({m.identity for m in found if m.identity > DISTRACTOR})
        extra = [f"{sum(m.identity == k for m in found)} {what}" for k, what in ((0, "distractors"), (-1, "junk"))]
        others = f", {', '.join(extra)}" if part == GALLERY else ""
        cameras = len({m.camera for m in found})
        lines.append(f"{part:<18} {len(found):>6} images, {people:>4} people, {cameras} cameras{others}")
    return "\n".join(lines)


def cache_folder(cache: Path | str | None = None) -> Path:
    """Where decoded images go: `cache`, else what DML_TEACH_DATA names, else the user's cache folder."""
    named = cache or os.environ.get("DML_TEACH_DATA")
    return Path(named).expanduser() if named else Path(pooch.os_cache("dml_teach"))


def mark(name: str, where: str, cameras: int = 9, way_out: str = WAY_OUT) -> Mark:
    """Identity and camera from a file's base name; raises `DataError` naming `where` when it is not of this form."""
    match = NAME.fullmatch(name)
    if match is None:
        raise DataError(f"{where}: not a name like 0002_c1s1_000451_03.jpg; {way_out}")
    found = Mark(int(match[1]), int(match[2]))
    if not 1 <= found.camera <= cameras:
        raise DataError(f"{where}: camera {found.camera}, but there are cameras 1 to {cameras}; {way_out}")
    return found


def _prepared_folder(size: tuple[int, int], expected: Expected, cache: Path | str | None) -> Path:
    return cache_folder(cache) / f"{expected.name}-{size[0]}x{size[1]}"


def _ready(root: Path | str | None, size: tuple[int, int], expected: Expected, cache: Path | str | None) -> Prepared:
    """What was prepared from `root`, after preparing it where that has not been done yet."""
    if not (len(size) == 2 and all(1 <= side <= SIDE for side in size)):
        raise ConfigError(f"size of {expected.name}: {size}; choose height and width of 1 to {SIDE} pixels")
    folder = _prepared_folder(size, expected, cache)
    if root is None:
        found = prepared.read(folder)
        if isinstance(found, str):
            raise DataError(f"{shown(folder)}: no prepared images ({found}); {expected.way_out}")
        return found
    with opened(Path(root).expanduser(), FOLDERS, expected.way_out) as source:
        parts = checked(source, expected)
        found = prepared.read(folder, source.signature)
        if isinstance(found, str):
            prepared.write(folder, source, parts, size)
            found = prepared.read(folder, source.signature)
    if isinstance(found, str):
        raise DataError(f"{shown(folder)}: was written, but then {found}; try again")
    return found


def checked(source: Source, expected: Expected) -> dict[str, tuple[str, ...]]:
    """The names that are wanted, by folder, all of them and their numbers checked against what is `expected`.

    Of the boxes drawn by hand those are wanted that show a query's person by the query's camera.
    """
    way_out = expected.way_out
    for folder in (TRAIN, GALLERY, QUERY):
        if not source.files.get(folder):
            raise DataError(f"{source.where}: no images in a folder {folder}; {way_out}")
    marks = {
        folder: [mark(name, source.place(folder, name), expected.cameras, way_out) for name in names]
        for folder, names in source.files.items()
    }
    for folder in (TRAIN, QUERY):
        for name, found in zip(source.files[folder], marks[folder], strict=True):
            if found.identity in (DISTRACTOR, JUNK):
                kind = "a distractor" if found.identity == DISTRACTOR else "junk"
                raise DataError(f"{source.place(folder, name)}: {kind}, which has no place in {folder}; {way_out}")
    check_people(source, marks, way_out)
    check_counts(source, marks, expected)
    asked = set(marks[QUERY])
    parts = {folder: source.files[folder] for folder in (TRAIN, GALLERY, QUERY)}
    if BOXES in marks:
        pairs = zip(source.files[BOXES], marks[BOXES], strict=True)
        boxes = tuple(name for name, found in pairs if found in asked)
        parts |= {BOXES: boxes} if boxes else {}
    return parts


def check_people(source: Source, marks: dict[str, list[Mark]], way_out: str) -> None:
    """Raise `DataError` when somebody to be trained on is asked for, too, or stands in the gallery."""
    known = {found.identity for found in marks[TRAIN]}
    for folder in (QUERY, GALLERY):
        for name, found in zip(source.files[folder], marks[folder], strict=True):
            if found.identity in known:
                raise DataError(f"{source.place(folder, name)}: this person is in {TRAIN} as well; {way_out}")


def check_counts(source: Source, marks: dict[str, list[Mark]], expected: Expected) -> None:
    """Raise `DataError` naming the first number that is not the expected one."""
    people = {folder: {m.identity for m in found if m.identity > DISTRACTOR} for folder, found in marks.items()}
    junk, distractors = (sum(m.identity == kind for m in marks[GALLERY]) for kind in (JUNK, DISTRACTOR))
    for folder, what, found, number in (
        (TRAIN, "images", len(marks[TRAIN]), expected.training),
        (TRAIN, "people", len(people[TRAIN]), expected.training_ids),
        (QUERY, "images", len(marks[QUERY]), expected.query),
        (QUERY, "people", len(people[QUERY]), expected.query_ids),
        (GALLERY, "images", len(marks[GALLERY]), expected.gallery),
        (GALLERY, "distractors (0000)", distractors, expected.distractors),
        (GALLERY, "pieces of junk (-1)", junk, expected.junk),
        (GALLERY, "people who are asked for", len(people[GALLERY] & people[QUERY]), expected.query_ids),
    ):
        if found != number:
            message = f"{found} {what} in {folder}, but {expected.name} has {number}"
            raise DataError(f"{source.where}: {message}; {expected.way_out}")


def _labels(names: tuple[str, ...]) -> tuple[torch.Tensor, tuple[str, ...]]:
    """Labels (N,) by ascending identity, and the identities as the names write them."""
    written = [name.partition("_")[0] for name in names]
    classes = sorted(set(written), key=int)
    number = {identity: label for label, identity in enumerate(classes)}
    return torch.tensor([number[identity] for identity in written]), tuple(classes)


def _identities(ready: Prepared, folder: str, expected: Expected) -> IdentitySet:
    marks = [mark(name, name) for name in ready.names[folder]]
    return IdentitySet(
        images=ready.images[folder],
        identities=torch.tensor([found.identity for found in marks]),
        cameras=torch.tensor([found.camera for found in marks]),
        names=ready.names[folder],
        name=f"{expected.name} {folder}",
    )
