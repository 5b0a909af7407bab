"""Decoded images on disk, to be read again in no time: one array of bytes for each folder, and what is in them.

A prepared folder holds `FOLDER.npy` (N, 3, H, W) uint8 for each folder of the data set and `contents.json`: the images'
names, the size, the mean and deviation of the first folder's pixels, the SHA-256 of the arrays and of all this, and the
signature of what they were made from. So what was damaged, or made from other files, is noticed. The folder appears
whole or not at all. Arrays are mapped into memory, not read: only the images that are looked at take any.
"""

import hashlib
import json
import math
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dml_teach.data.decoding import decode
from dml_teach.data.sources import Source
from dml_teach.errors import DataError
from dml_teach.files import write_json

CONTENTS = "contents.json"
FORMAT = 1


@dataclass(frozen=True)
class Prepared:
    """What a prepared folder holds.

    images     for each folder of the data set its images (N, 3, H, W) uint8
    names      and their base names, N of them
    mean, std  one number per channel, of the first folder's pixels scaled to [0, 1]
    """

    images: dict[str, Tensor]
    names: dict[str, tuple[str, ...]]
    mean: tuple[float, ...]
    std: tuple[float, ...]


def read(folder: Path, signature: str | None = None) -> Prepared | str:
    """What `folder` holds, or in a few words why it can not be used.

    With a `signature`, it must have been made from what has this signature.
    """
    try:
        stored = json.loads((folder / CONTENTS).read_text(encoding="utf-8"))
        contents = stored["contents"]
        if stored["sha256"] != digest(contents):
            return f"{CONTENTS} was altered"
        if contents["format"] != FORMAT:
            return "of another version"
        if signature not in (None, contents["signature"]):
            return "made from other files"
        images, names = {}, {}
        for part, entry in contents["parts"].items():
            path = folder / f"{part}.npy"
            if sha256(path) != entry["sha256"]:
                return f"{path.name} was altered"
            # Copy on write: whoever writes into the tensor does not write into the file.
            images[part] = torch.from_numpy(np.load(path, mmap_mode="c", allow_pickle=False))
            names[part] = tuple(map(str, entry["names"]))
            if images[part].shape != (len(names[part]), 3, *contents["size"]) or images[part].dtype != torch.uint8:
                return f"{path.name} is not what {CONTENTS} says"
        return Prepared(images, names, tuple(map(float, contents["mean"])), tuple(map(float, contents["std"])))
    except FileNotFoundError as error:
        return f"{Path(error.filename).name} is missing"
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        return f"can not be read ({type(error).__name__})"


def write(folder: Path, source: Source, parts: dict[str, tuple[str, ...]], size: tuple[int, int]) -> None:
    """Decode the images `parts` names (folder: base names) and put them into `folder` in place of what it held.

    Raises `DataError` naming an image that can not be decoded, or the folder when it can not be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
            fresh = Path(scratch) / "fresh"
            fresh.mkdir()
            entries = {}
            for part, names in parts.items():
                images = (decode(source.read(part, name), source.place(part, name), size) for name in names)
                write_array(fresh / f"{part}.npy", (len(names), 3, *size), images)
                entries[part] = {"names": names, "sha256": sha256(fresh / f"{part}.npy")}
            mean, std = statistics(np.load(fresh / f"{next(iter(parts))}.npy", mmap_mode="r", allow_pickle=False))
            about = {"format": FORMAT, "signature": source.signature, "size": size, "mean": mean, "std": std}
            contents = {**about, "parts": entries}
            write_json(fresh / CONTENTS, {"sha256": digest(contents), "contents": contents})
            put_in_place(fresh, folder, Path(scratch) / "old")
    except OSError as error:
        raise DataError(
            f"{folder}: cannot be written ({error.strerror}); choose another folder or free some space"
        ) from error


def write_array(path: Path, shape: tuple[int, ...], images: Iterable[Tensor]) -> None:
    """Images as one array of bytes in NumPy's format. Written, not mapped: a full disk is an error here, no crash."""
    with path.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for image in images:
            file.write(image.numpy().tobytes())


def put_in_place(fresh: Path, folder: Path, old: Path) -> None:
    """Rename `fresh` to `folder`; what stood there goes to `old`. Who loses a race against another gives way."""
    try:
        if folder.exists():
            folder.rename(old)
        fresh.rename(folder)
    except OSError:
        if not (folder / CONTENTS).is_file():
            raise


def digest(contents: object) -> str:
    """SHA-256 of anything that JSON can hold, as 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps(contents, sort_keys=True).encode()).hexdigest()


def sha256(path: Path) -> str:
    """Of a file's bytes, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def statistics(images: np.ndarray) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel of images (N, C, H, W) uint8, for pixels scaled to [0, 1].

    Counted in whole numbers, so that they are the same on every machine.
    """
    means, deviations = [], []
    for channel in range(images.shape[1]):
        counts = np.zeros(256, np.int64)
        for part in slabs(images[:, channel]):
            counts += np.bincount(part.ravel(), minlength=256)
        pairs = list(enumerate(counts.tolist()))
        total = sum(count for _, count in pairs)
        first, second = (sum(level**power * count for level, count in pairs) for power in (1, 2))
        means.append(first / total / 255)
        deviations.append(math.sqrt(total * second - first**2) / total / 255)
    return means, deviations


def slabs(images: np.ndarray, count: int = 1024) -> Iterable[np.ndarray]:
    """A few images at a time."""
    return (images[start : start + count] for start in range(0, len(images), count))
