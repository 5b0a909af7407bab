"""Cut the bundled slice out of the original Fashion-MNIST files.

    python tools/cut_fashion_mnist.py FOLDER [--out FILE]

FOLDER holds the four original .gz files, as listed at https://github.com/zalandoresearch/fashion-mnist (Debian's
package dataset-fashion-mnist has the same). Their sha256 is checked. From each class the images with the smallest
content hash are taken, and written in the order of the original file, each with its index there. Running it twice gives
the same bytes; when they change, put the printed sha256 into dml_teach/data/bundled.py.
"""

import argparse
import gzip
import hashlib
import sys
import zipfile
from pathlib import Path

import numpy as np
import torch

from dml_teach.data import bundled
from dml_teach.data.images import ImageSet, by_hash
from dml_teach.errors import DataError

ORIGINALS = {
    "train-images-idx3-ubyte.gz": "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
    "train-labels-idx1-ubyte.gz": "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
    "t10k-images-idx3-ubyte.gz": "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
    "t10k-labels-idx1-ubyte.gz": "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
}
SPLITS = {"train": ("train", 2_000), "test": ("t10k", 4_000)}  # name in the slice: (name of the files, images to keep)
IMAGE_HEADER, LABEL_HEADER = 16, 8  # bytes before the data of an idx file


def read_original(path: Path) -> bytes:
    """The unpacked content of one of the four files; raises `DataError` when it is missing or not the original."""
    try:
        packed = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); give the folder of the original files") from error
    if hashlib.sha256(packed).hexdigest() != ORIGINALS[path.name]:
        raise DataError(f"{path}: not the original file (its sha256 differs); fetch it again")
    return gzip.decompress(packed)


def read_split(folder: Path, stem: str) -> ImageSet:
    """All images of one original split, with its own mean and standard deviation (from a count of the grey levels)."""
    pixels = np.frombuffer(read_original(folder / f"{stem}-images-idx3-ubyte.gz"), np.uint8, offset=IMAGE_HEADER)
    labels = np.frombuffer(read_original(folder / f"{stem}-labels-idx1-ubyte.gz"), np.uint8, offset=LABEL_HEADER)
    share = np.bincount(pixels, minlength=256) / pixels.size
    level = np.arange(256) / 255
    mean = float((share * level).sum())
    std = float(np.sqrt((share * (level - mean) ** 2).sum()))
    images = torch.from_numpy(pixels.reshape(-1, 1, 28, 28).copy())
    return ImageSet(images, torch.from_numpy(labels.astype(np.int64)), bundled.CLASS_NAMES, stem, (mean,), (std,), True)


def cut(folder: Path) -> dict[str, np.ndarray]:
    """The slice: per split images (n, 1, 28, 28) uint8, labels and original index (n,); mean and std (1,)."""
    arrays: dict[str, np.ndarray] = {}
    for split, (stem, count) in SPLITS.items():
        original = read_split(folder, stem)
        index = by_hash(original)[:count].sort().values
        part = original.take(index)
        arrays[f"{split}_images"] = part.images.numpy()
        arrays[f"{split}_labels"] = part.labels.numpy().astype(np.uint8)
        arrays[f"{split}_index"] = index.numpy().astype(np.uint16)
        if split == "train":
            arrays["mean"], arrays["std"] = np.array(original.mean), np.array(original.std)
    return arrays


def write(arrays: dict[str, np.ndarray], target: Path) -> None:
    """Write an .npz whose bytes depend on the arrays alone (no times, no machine), completely or not at all."""
    partial = target.with_name(target.name + ".part")
    with zipfile.ZipFile(partial, "w") as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.compress_type = 3, zipfile.ZIP_DEFLATED
            with archive.open(entry, "w") as stream:
                np.lib.format.write_array(stream, array, allow_pickle=False)
    partial.replace(target)


def main() -> None:
    """Read the command line, cut, and print the new file's sha256."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=bundled.SLICE)
    arguments = parser.parse_args()
    try:
        write(cut(arguments.folder), arguments.out)
    except DataError as error:
        sys.exit(str(error))
    content = arguments.out.read_bytes()
    print(f"{arguments.out}: {len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main()
