"""CIFAR-10 and CIFAR-100 (Krizhevsky, 2009) from their official *binary* files, which hold nothing to execute.

A record is its labels, a byte each, and 3 072 bytes of pixels: 1 024 red, 1 024 green, 1 024 blue, each row by row.
CIFAR-10 has one label (0 to 9); CIFAR-100 a coarse one (0 to 19), then the fine one (0 to 99), which is to be learnt.
`CIFAR10` and `CIFAR100` describe the two archives, and every function here takes one of them.

CIFAR-10's means and standard deviations are the rounded ones in common use; CIFAR-100's are computed from its images.

Their authors state no licence, so the images are not part of this project, and recordings made on them hold no pixels.
"""

import os
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

import numpy as np
import pooch
import torch

from dml_teach.data.images import ImageSet
from dml_teach.errors import DataError

PIXEL_BYTES = 3 * 32 * 32
NAMES_BYTES = 65_536  # more than any list of 100 names needs


class Archive(NamedTuple):
    """An official archive: where it is, what it holds, and what is known of its images.

    Attributes:
        name: of the data set, as everywhere.
        title: the same as people write it.
        url: of the archive, a gzipped tar file.
        sha256: of the same.
        folder: the one folder in it.
        files: for each split its files in order, with the number of records in each.
        labels: what a record's first bytes are, with the number of classes; the last is the label to be learnt.
        names_file: names of that label's classes, one a line.
        mean: of the training images' red, green and blue pixels, scaled to [0, 1].
        std: of the same.
    """

    name: str
    title: str
    url: str
    sha256: str
    folder: str
    files: Mapping[str, Mapping[str, int]]
    labels: tuple[tuple[str, int], ...]
    names_file: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @property
    def record_bytes(self) -> int:
        """How many bytes a record has, labels and pixels."""
        return len(self.labels) + PIXEL_BYTES

    @property
    def way_out(self) -> str:
        """How to come by the files, for messages."""
        return f"fetch {self.title} with `dml-teach train {self.name} --download`, or name its folder with --data"

    @property
    def sizes(self) -> dict[str, int]:
        """The files that are read, with the bytes of the official ones; for the names it is an upper bound."""
        counts = {name: count for files in self.files.values() for name, count in files.items()}
        return {**{name: count * self.record_bytes for name, count in counts.items()}, self.names_file: NAMES_BYTES}


CIFAR10 = Archive(
    name="cifar10",
    title="CIFAR-10",
    url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    folder="cifar-10-batches-bin",
    files={
        "train": {f"data_batch_{number}.bin": 10_000 for number in range(1, 6)},
        "test": {"test_batch.bin": 10_000},
    },
    labels=(("class", 10),),
    names_file="batches.meta.txt",
    mean=(0.4914, 0.4822, 0.4465),
    std=(0.2470, 0.2435, 0.2616),
)

CIFAR100 = Archive(
    name="cifar100",
    title="CIFAR-100",
    url="https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
    sha256="58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
    folder="cifar-100-binary",
    files={"train": {"train.bin": 50_000}, "test": {"test.bin": 10_000}},
    labels=(("coarse", 20), ("fine", 100)),
    names_file="fine_label_names.txt",
    mean=(0.5070751592371323, 0.486548873314951, 0.44091784336703427),
    std=(0.2673342858792406, 0.2564384629170881, 0.27615047132568393),
)


def load(archive: Archive, split: Literal["train", "test"], root: Path | str | None = None) -> ImageSet:
    """The training (50000, 3, 32, 32) or test (10000, 3, 32, 32) images with the labels to be learnt.

    `root` is the archive's folder or its parent; when None, the environment variable DML_TEACH_DATA names it, else it
    is the user's cache folder. Raises `DataError` when a file is missing, unreadable, of the wrong size or holds a
    label that does not exist. A folder, unlike the archive, is not held against a checksum.
    """
    labels = len(archive.labels)
    try:
        folder = _folder(archive, root)
        names = _read_names(archive, folder)
        parts = [_read_records(archive, folder / name) for name in archive.files[split]]
    except OSError as error:
        raise DataError(f"{error.filename}: {error.strerror}; {archive.way_out}") from error
    return ImageSet(
        images=torch.from_numpy(np.concatenate([records[:, labels:] for records in parts]).reshape(-1, 3, 32, 32)),
        labels=torch.from_numpy(np.concatenate([records[:, labels - 1] for records in parts]).astype(np.int64)),
        class_names=names,
        name=archive.name,
        mean=archive.mean,
        std=archive.std,
        may_store_images=False,
    )


def locate(archive: Archive, root: Path | str | None = None) -> Path | None:
    """The folder that `load` would read, or None when a file is not to be found there; contents are not looked at."""
    try:
        folder = _folder(archive, root)
        return folder if all((folder / name).is_file() for name in archive.sizes) else None
    except OSError:
        return None


def download(archive: Archive, root: Path | str | None = None, progress: bool = True) -> Path:
    """Fetch an official archive (about 170 MB), check its SHA-256, unpack it into `root`, and return the new folder.

    Nothing is fetched when the files are there. The folder appears complete or not at all. Raises `DataError` when the
    network is absent, the archive is not the official one, or an incomplete folder is in the way.
    """
    present = locate(archive, root)
    if present is not None:
        return present
    parent = _root(root)
    target = parent if parent.name == archive.folder else parent / archive.folder
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise DataError(f"{target}: exists but is not all of {archive.title}; move it away, then download again")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{archive.name}-") as scratch:
            file = _fetch(archive, Path(scratch), progress)
            unpacked = Path(scratch) / archive.folder
            unpacked.mkdir()
            _extract(archive, file, unpacked)
            unpacked.replace(target)
    except OSError as error:
        raise DataError(f"{target}: cannot be written ({error.strerror}); choose another folder with --data") from error
    return target


def _root(root: Path | str | None) -> Path:
    if root is not None:
        return Path(root).expanduser()
    named = os.environ.get("DML_TEACH_DATA")
    return Path(named).expanduser() if named else Path(pooch.os_cache("dml_teach"))


def _folder(archive: Archive, root: Path | str | None) -> Path:
    """Where the files are looked for: in the archive's folder below `root` if that is there, else in `root` itself."""
    parent = _root(root)
    return parent / archive.folder if (parent / archive.folder).is_dir() else parent


def _read(archive: Archive, path: Path) -> bytes:
    """A file's content; its size is looked at first, so that nothing huge is read by mistake."""
    if path.is_dir():
        raise DataError(f"{path}: a folder, but a file is expected; {archive.way_out}")
    _check_size(archive, str(path), path.stat().st_size, path.name)
    return path.read_bytes()


def _check_size(archive: Archive, where: str, size: int, name: str) -> None:
    official = archive.sizes[name]
    if size > official or (size < official and name != archive.names_file):
        limit = "at most " if name == archive.names_file else ""
        raise DataError(f"{where}: {size} bytes, but the official file has {limit}{official}; {archive.way_out}")


def _read_records(archive: Archive, path: Path) -> np.ndarray:
    """The records (N, 3073 or 3074) uint8 of a file, their labels checked."""
    records = np.frombuffer(_read(archive, path), np.uint8).reshape(-1, archive.record_bytes)
    for column, (kind, classes) in enumerate(archive.labels):
        wrong = np.flatnonzero(records[:, column] >= classes)
        if len(wrong):
            said = f"record {wrong[0]}, {kind} label {records[wrong[0], column]}, goes beyond {classes - 1}"
            raise DataError(f"{path}: {said}; {archive.way_out}")
    return records


def _read_names(archive: Archive, folder: Path) -> tuple[str, ...]:
    """The names of the classes to be learnt, one a line; empty lines do not count."""
    path, (_, expected) = folder / archive.names_file, archive.labels[-1]
    try:
        lines = _read(archive, path).decode().splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a text file; {archive.way_out}") from error
    names = tuple(line.strip() for line in lines if line.strip())
    if len(names) != expected:
        raise DataError(f"{path}: {len(names)} class names, but there are {expected}; {archive.way_out}")
    return names


def _fetch(archive: Archive, folder: Path, progress: bool) -> Path:
    url, known = archive.url, f"sha256:{archive.sha256}"
    try:
        return Path(pooch.retrieve(url, known, "archive.tar.gz", folder, progressbar=progress))
    except ValueError as error:  # pooch's way to say that the hash differs
        raise DataError(f"{url}: not the official archive (its sha256 differs); try again later") from error
    except OSError as error:  # the network's errors are among these
        reason = error.strerror or type(error).__name__
        raise DataError(
            f"{url}: cannot be fetched ({reason}); check network and disk, or unpack it yourself and name its folder"
            " with --data"
        ) from error


def _extract(archive: Archive, file: Path, target: Path) -> None:
    """Write the expected members, and only those, to names of our own: no path or link in the archive is followed."""
    try:
        with tarfile.open(file, "r:gz") as members:
            found = {str(PurePosixPath(member.name)): member for member in members}
            for name in archive.sizes:
                where = f"{archive.url}: {archive.folder}/{name}"
                member = found.get(f"{archive.folder}/{name}")
                source = members.extractfile(member) if member is not None and member.isreg() else None
                if member is None or source is None:
                    raise DataError(f"{where} is not there as a plain file; try again later")
                _check_size(archive, where, member.size, name)
                with source, (target / name).open("wb") as written:
                    shutil.copyfileobj(source, written)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise DataError(f"{archive.url}: the archive is damaged; try again later") from error
