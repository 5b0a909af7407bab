"""Small data sets in Market-1501's layout for tests: a few people, pictures of noise that can be told apart."""

import io
import zipfile
from pathlib import Path

import torch
from torch import Tensor
from torchvision.io import encode_jpeg, encode_png

from dml_teach.data.market1501 import BOXES, GALLERY, QUERY, TRAIN, Expected

SIZE = (16, 8)
TRAINED, ASKED = (2, 4, 7), (1, 3)
TOP = "Market-1501-v15.09.15"
EXPECTED = Expected("market1501", 6, 3, 4, 2, 11, 2, 1, 6, may_store_images=False, way_out="bring the right one")


def noise(seed: int, size: tuple[int, int] = SIZE, channels: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (channels, *size), generator=generator).to(torch.uint8)


def png(seed: int, size: tuple[int, int] = SIZE, channels: int = 3) -> bytes:
    return encode_png(noise(seed, size, channels)).numpy().tobytes()


def jpeg(seed: int, size: tuple[int, int] = SIZE, channels: int = 3) -> bytes:
    return encode_jpeg(noise(seed, size, channels)).numpy().tobytes()


def names() -> dict[str, list[str]]:
    """A sound small set: each trained person by two cameras, each query by two, the gallery with everything in it."""
    person = "{:04d}_c{}s1_{:06d}_00.jpg".format
    return {
        TRAIN: [person(who, camera, 10 * who + camera) for who in TRAINED for camera in (1, 2)],
        QUERY: [person(who, camera, 500 + camera) for who in ASKED for camera in (1, 6)],
        GALLERY: [person(who, camera, 600 + camera) for who in ASKED for camera in (1, 3, 5, 6)]
        + [person(0, camera, 700 + camera) for camera in (2, 4)]
        + ["-1_c2s1_000800_01.jpg"],
        BOXES: [f"{person(who, camera, 900 + camera)}.jpg" for who in ASKED for camera in (1, 6)]
        + [person(who, 1, 950) for who in (*ASKED, *TRAINED)]
        + [person(3, 4, 960)],
    }


def files() -> dict[str, bytes]:
    """Content by path, below the data set's folder; every third picture is a JPEG."""
    paths = [f"{folder}/{name}" for folder, found in names().items() for name in found]
    return {path: (png if seed % 3 else jpeg)(seed) for seed, path in enumerate(paths)}


def write_folder(root: Path, content: dict[str, bytes]) -> Path:
    for path, data in content.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    return root


def zipped(content: dict[str, bytes], top: str = f"{TOP}/") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in content.items():
            archive.writestr(top + path, data)
    return buffer.getvalue()
