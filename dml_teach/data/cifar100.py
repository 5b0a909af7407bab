"""CIFAR-100 (Krizhevsky, 2009) from its official *binary* files, which hold nothing that could be executed.

A record is a byte for the coarse label (0 to 19), one for the fine label (0 to 99), which is the one to be learnt, and
3 072 bytes of pixels: 1 024 red, 1 024 green, 1 024 blue, each row by row. `train.bin` holds 50 000 records, `test.bin`
10 000.

Its authors state no licence, so the images are not part of this project, and recordings made on them hold no pixels.
"""

import os
import shutil
import tarfile
import tempfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
import pooch
import torch

from dml_teach.data.images import ImageSet
from dml_teach.errors import DataError

URL = "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz"
SHA256 = "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec"
FOLDER = "cifar-100-binary"

RECORDS = {"train": 50_000, "test": 10_000}
RECORD_BYTES = 2 + 3 * 32 * 32
LABELS = (("coarse", 20), ("fine", 100))  # in the order of a record's first bytes
NAMES_FILE = "fine_label_names.txt"
NAMES_BYTES = 65_536  # more than any list of 100 names needs

# Of the training images' pixels, scaled to [0, 1]: red, green, blue.
MEAN = (0.5070751592371323, 0.486548873314951, 0.44091784336703427)
STD = (0.2673342858792406, 0.2564384629170881, 0.27615047132568393)

WAY_OUT = "fetch CIFAR-100 with `dml-teach train cifar100 --download`, or name its folder with --data"


def load(split: Literal["train", "test"], root: Path | str | None = None) -> ImageSet:
    """The training (50000, 3, 32, 32) or test (10000, 3, 32, 32) images with their fine labels.

    `root` is the folder `cifar-100-binary` or its parent; when None, the environment variable DML_TEACH_DATA names
    it, else it is the user's cache folder. Raises `DataError` when a file is missing, unreadable, of the wrong size or
    holds a label that does not exist. A folder, unlike the archive, is not held against a checksum.
    """
    try:
        folder = _folder(root)
        names = _read_names(folder / NAMES_FILE)
        records = _read_records(folder / f"{split}.bin", RECORDS[split])
    except OSError as error:
        raise DataError(f"{error.filename}: {error.strerror}; {WAY_OUT}") from error
    return ImageSet(
        images=torch.from_numpy(records[:, 2:].copy().reshape(-1, 3, 32, 32)),
        labels=torch.from_numpy(records[:, 1].astype(np.int64)),
        class_names=names,
        name="cifar100",
        mean=MEAN,
        std=STD,
        may_store_images=False,
    )


def locate(root: Path | str | None = None) -> Path | None:
    """The folder that `load` would read, or None when a file is not to be found there; contents are not looked at."""
    try:
        folder = _folder(root)
        return folder if all((folder / name).is_file() for name in _sizes()) else None
    except OSError:
        return None


def download(root: Path | str | None = None, progress: bool = True) -> Path:
    """Fetch the official archive (169 MB), check its SHA-256, unpack it into `root`, and return the new folder.

    Nothing is fetched when the files are there. The folder appears complete or not at all. Raises `DataError` when the
    network is absent, the archive is not the official one, or an incomplete folder is in the way.
    """
    present = locate(root)
    if present is not None:
        return present
    parent = _root(root)
    target = parent if parent.name == FOLDER else parent / FOLDER
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise DataError(f"{target}: exists but is not all of CIFAR-100; move it away, then download again")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".cifar100-") as scratch:
            archive = _fetch(Path(scratch), progress)
            unpacked = Path(scratch) / FOLDER
            unpacked.mkdir()
            _extract(archive, unpacked)
            unpacked.replace(target)
    except OSError as error:
        raise DataError(f"{target}: cannot be written ({error.strerror}); choose another folder with --data") from error
    return target


def _root(root: Path | str | None) -> Path:
    if root is not None:
        return Path(root).expanduser()
    named = os.environ.get("DML_TEACH_DATA")
    return Path(named).expanduser() if named else Path(pooch.os_cache("dml_teach"))


def _folder(root: Path | str | None) -> Path:
    """Where the files are looked for: in `root`/cifar-100-binary if that is there, else in `root` itself."""
    parent = _root(root)
    return parent / FOLDER if (parent / FOLDER).is_dir() else parent


def _sizes() -> dict[str, int]:
    """The files that are read, with the sizes of the official ones; for the names it is an upper bound."""
    return {**{f"{split}.bin": count * RECORD_BYTES for split, count in RECORDS.items()}, NAMES_FILE: NAMES_BYTES}


def _read(path: Path) -> bytes:
    """A file's content; its size is looked at first, so that nothing huge is read by mistake."""
    if path.is_dir():
        raise DataError(f"{path}: a folder, but a file is expected; {WAY_OUT}")
    _check_size(str(path), path.stat().st_size, path.name)
    return path.read_bytes()


def _check_size(where: str, size: int, name: str) -> None:
    official = _sizes()[name]
    if size > official or (size < official and name != NAMES_FILE):
        limit = "at most " if name == NAMES_FILE else ""
        raise DataError(f"{where}: {size} bytes, but the official file has {limit}{official}; {WAY_OUT}")


def _read_records(path: Path, count: int) -> np.ndarray:
    """The records (count, 3074) uint8 of train.bin or test.bin, their labels checked."""
    records = np.frombuffer(_read(path), np.uint8).reshape(count, RECORD_BYTES)
    for column, (kind, classes) in enumerate(LABELS):
        wrong = np.flatnonzero(records[:, column] >= classes)
        if len(wrong):
            value = records[wrong[0], column]
            raise DataError(f"{path}: record {wrong[0]}, {kind} label {value}, goes beyond {classes - 1}; {WAY_OUT}")
    return records


def _read_names(path: Path) -> tuple[str, ...]:
    """The names of the 100 fine classes, one a line."""
    try:
        lines = _read(path).decode().splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a text file; {WAY_OUT}") from error
    names = tuple(line.strip() for line in lines if line.strip())
    expected = dict(LABELS)["fine"]
    if len(names) != expected:
        raise DataError(f"{path}: {len(names)} class names, but there are {expected}; {WAY_OUT}")
    return names


def _fetch(folder: Path, progress: bool) -> Path:
    try:
        return Path(pooch.retrieve(URL, f"sha256:{SHA256}", "archive.tar.gz", folder, progressbar=progress))
    except ValueError as error:  # pooch's way to say that the hash differs
        raise DataError(f"{URL}: not the official archive (its sha256 differs); try again later") from error
    except OSError as error:  # the network's errors are among these
        reason = error.strerror or type(error).__name__
        raise DataError(
            f"{URL}: cannot be fetched ({reason}); check network and disk, or unpack it yourself and name its folder"
            " with --data"
        ) from error


def _extract(archive: Path, target: Path) -> None:
    """Write the expected members, and only those, to names of our own: no path or link in the archive is followed."""
    try:
        with tarfile.open(archive, "r:gz") as members:
            found = {str(PurePosixPath(member.name)): member for member in members}
            for name in _sizes():
                member = found.get(f"{FOLDER}/{name}")
                source = members.extractfile(member) if member is not None and member.isreg() else None
                if member is None or source is None:
                    raise DataError(f"{URL}: {FOLDER}/{name} is not there as a plain file; try again later")
                _check_size(f"{URL}: {FOLDER}/{name}", member.size, name)
                with source, (target / name).open("wb") as file:
                    shutil.copyfileobj(source, file)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise DataError(f"{URL}: the archive is damaged; try again later") from error
