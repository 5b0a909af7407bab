"""The images that come with the package: a class-balanced slice of Fashion-MNIST, so that a laptop needs no network.

Fashion-MNIST is by Xiao, Rasul and Vollgraf (arXiv:1708.07747), (c) 2017 Zalando SE, under the MIT licence
(`fashion_mnist_slice.LICENSE`). Of its 60 000 training images 2 000 are here, 200 of each class, and of its 10 000 test
images 4 000, 400 of each class, drawn by content hash: `tools/cut_fashion_mnist.py` cuts the same file again.
"""

import hashlib
import io
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from dml_teach.data.images import ImageSet
from dml_teach.errors import DataError

SLICE = Path(__file__).with_name("fashion_mnist_slice.npz")
SHA256 = "6f0f2aeac0e3b7f665284a834a8364e5c6f37ae4d960681fdcaca8ea50503eea"
CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


def load(split: Literal["train", "test"]) -> ImageSet:
    """The bundled training (2000, 1, 28, 28) or test (4000, 1, 28, 28) images, in the order of the original file.

    Raises `DataError` when the packaged file is missing or is not, byte for byte, the one that was packaged.
    """
    try:
        content = SLICE.read_bytes()
    except OSError as error:
        raise DataError(f"{SLICE}: cannot be read ({error.strerror}); install dml_teach again") from error
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise DataError(f"{SLICE}: not the file that was packaged (its sha256 differs); install dml_teach again")
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return ImageSet(
            images=torch.from_numpy(arrays[f"{split}_images"]),
            labels=torch.from_numpy(arrays[f"{split}_labels"].astype(np.int64)),
            class_names=CLASS_NAMES,
            name="bundled",
            mean=tuple(arrays["mean"].tolist()),
            std=tuple(arrays["std"].tolist()),
            may_store_images=True,
        )
