"""Omniglot (Lake et al., 2015) as a test of retrieval without people: which drawings show the same character?

An identity is a character, a camera is the hand that drew it: 242 characters of 8 alphabets, each drawn once by each of
20 people, 32x32 grey. Half of the characters are learnt from, the other half is only asked for. Which ones follows from
the drawings themselves, through their SHA-256, so that every copy of the data is divided alike.

    training   the characters to learn from, drawn by the first hands
    query      the unseen characters, drawn by the last five hands
    gallery    the unseen characters, drawn by the fifteen others

The images are those of Omniglot's "background small 1" and "2", (c) its authors, MIT licence; they are not part of this
project.
"""

import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch

from dml_teach.data.images import ImageSet, content_hashes
from dml_teach.data.market1501 import cache_folder
from dml_teach.data.prepared import statistics
from dml_teach.data.retrieval import IdentitySet, RetrievalSet
from dml_teach.errors import ConfigError, DataError

NAME = "omniglot"
FILE = "omniglot_small_32.npz"
HANDS, QUERY_HANDS = 20, 5
ARRAYS = {"x": np.uint8, "char": np.int16, "drawer": np.int8, "char_names": np.str_}
BYTES = 1 << 26  # ten times as many as the arrays have
NPZ_TROUBLE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    ValueError,
    KeyError,
    NotImplementedError,
    RuntimeError,
    MemoryError,
)
WAY_OUT = (
    f"name {FILE} or its folder: arrays x (N, 32, 32) uint8, char, drawer and char_names, made of"
    " images_background_small1 and 2 from github.com/brendenlake/omniglot"
)


def load(path: Path | str | None = None, *, held_out: int = 121, hands: int = 5) -> tuple[ImageSet, RetrievalSet]:
    """Training images (N, 1, 32, 32) with characters as classes, and the test of retrieval on the unseen ones.

    Args:
        path: the file or its folder; None looks where data sets are kept (`market1501.cache_folder`).
        held_out: number of characters, of 242, that are not learnt from: those whose drawings' hash comes first.
        hands: each character to be learnt is shown as drawn by the first of so many, up to 20.

    Raises:
        ConfigError: a number is out of its range.
        DataError: the file is missing, damaged or something else.
    """
    file = Path(path).expanduser() if path else cache_folder()
    file = file / FILE if file.is_dir() else file
    images, characters, drawers, names = _read(file)
    if not 1 <= held_out < len(names):
        raise ConfigError(f"held_out: {held_out} of {len(names)} characters; choose 1 to {len(names) - 1}")
    if not 1 <= hands <= HANDS:
        raise ConfigError(f"hands: {hands}; choose 1 to {HANDS}")
    unseen = torch.isin(characters, torch.tensor(_by_hash(images, characters)[:held_out]))
    studied = ~unseen & (drawers <= hands)
    known, labels = characters[studied].unique(return_inverse=True)
    (mean,), (std,) = statistics(images[studied].numpy())

    def part(name: str, chosen: torch.Tensor) -> IdentitySet:
        marks = zip(characters[chosen].tolist(), drawers[chosen].tolist(), strict=True)
        where = tuple(f"{names[character]} by hand {hand}" for character, hand in marks)
        return IdentitySet(images[chosen], characters[chosen] + 1, drawers[chosen], where, f"{NAME} {name}")

    train = ImageSet(
        images[studied], labels, tuple(names[k] for k in known.tolist()), NAME, (mean,), (std,), may_store_images=True
    )
    query, gallery = unseen & (drawers > HANDS - QUERY_HANDS), unseen & (drawers <= HANDS - QUERY_HANDS)
    return train, RetrievalSet(part("query", query), part("gallery", gallery), NAME, (mean,), (std,), True)


def _by_hash(images: torch.Tensor, characters: torch.Tensor) -> list[int]:
    """The characters, ordered by the SHA-256 of the drawings of each: by the least of them."""
    least: dict[int, str] = {}
    for character, digest in zip(characters.tolist(), content_hashes(images), strict=True):
        least[character] = min(digest, least.get(character, digest))
    return sorted(least, key=lambda character: least[character])


def _read(file: Path) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, tuple[str, ...]]:
    """Images (N, 1, 32, 32) uint8, characters (N,) from 0 and drawers (N,) from 1, both int64, and the names."""
    try:
        with zipfile.ZipFile(file) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        with np.load(file, allow_pickle=False) as found:
            arrays = {name: found[name] for name in ARRAYS} if size <= BYTES else {}
    except OSError as error:
        raise DataError(f"{file}: {error.strerror or 'can not be read'}; {WAY_OUT}") from error
    except NPZ_TROUBLE as error:
        raise DataError(f"{file}: damaged or something else; {WAY_OUT}") from error
    if not arrays:
        raise DataError(f"{file}: unpacks to {size} bytes, more than {BYTES}; {WAY_OUT}")
    for name, kind in ARRAYS.items():
        if not np.issubdtype(arrays[name].dtype, kind):
            raise DataError(f"{file}: {name} is {arrays[name].dtype}, not {kind.__name__}; {WAY_OUT}")
    names = tuple(str(name) for name in arrays["char_names"].ravel())
    characters, drawers, count = arrays["char"], arrays["drawer"], HANDS * len(names)
    if arrays["x"].shape != (count, 32, 32) or characters.shape != (count,) or drawers.shape != (count,):
        raise DataError(f"{file}: x, char and drawer do not fit the {len(names)} names; {WAY_OUT}")
    pairs = {(int(c), int(d)) for c, d in zip(characters, drawers, strict=True)}
    if pairs != {(character, hand) for character in range(len(names)) for hand in range(1, HANDS + 1)} or not pairs:
        raise DataError(f"{file}: not one drawing of each character by each of {HANDS} people; {WAY_OUT}")
    images = torch.from_numpy(arrays["x"])[:, None]
    return images, torch.from_numpy(characters.astype(np.int64)), torch.from_numpy(drawers.astype(np.int64)), names
