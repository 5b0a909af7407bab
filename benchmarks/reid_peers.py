"""What `reid.py` measures against: features of Market-1501's size, the peers that are installed, and peak memory."""

import ctypes
import sys
from collections.abc import Callable
from importlib.machinery import EXTENSION_SUFFIXES, PathFinder
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from timing import Step

QUERIES, GALLERY = 3368, 15913
PEOPLE, CAMERAS, DISTRACTORS = 750, 6, 2798 / 15913
# Spread of the images around a person: at 2 mAP is about .9 in 512 dimensions.
TRAINED, UNTRAINED = 2.0, 1e6


class Market(NamedTuple):
    """Features of unit length (Q, D) and (G, D) in fp32, and (query_ids, gallery_ids, query_cams, gallery_cams)."""

    query: np.ndarray
    gallery: np.ndarray
    labels: tuple[np.ndarray, ...]

    def distances(self) -> np.ndarray:
        """Cosine distances (Q, G)."""
        return (1 - torch.from_numpy(self.query) @ torch.from_numpy(self.gallery).T).numpy()


def market(queries: int, images: int, dimensions: int, noise: float) -> Market:
    """People spread at random, images spread around them by `noise`, as many distractors as Market-1501 has."""
    rng = np.random.default_rng(0)
    people = rng.standard_normal((PEOPLE + 1, dimensions), np.float32)
    query_ids, gallery_ids = rng.integers(1, PEOPLE + 1, queries), rng.integers(1, PEOPLE + 1, images)
    gallery_ids[rng.random(images) < DISTRACTORS] = 0

    def around(ids: np.ndarray) -> np.ndarray:
        features = rng.standard_normal((len(ids), dimensions), np.float32)
        features *= noise
        features += np.where(ids[:, None] > 0, people[ids], 0)
        return features / np.linalg.norm(features, axis=1, keepdims=True)

    query, gallery = around(query_ids), around(gallery_ids)
    query_cams, gallery_cams = rng.integers(1, CAMERAS + 1, queries), rng.integers(1, CAMERAS + 1, images)
    return Market(query, gallery, (query_ids, gallery_ids, query_cams, gallery_cams))


# --- peers ---


def package(name: str, folders: list[str]) -> Path | None:
    """Where a package is installed, without importing it; `reid.py` beside this file is no package."""
    spec = PathFinder.find_spec(name, [*folders, *sys.path])
    if spec is None or not spec.submodule_search_locations:
        spec = PathFinder.find_spec(name, [path for path in sys.path if Path(path) != Path(__file__).parent])
    return Path(next(iter(spec.submodule_search_locations))) if spec and spec.submodule_search_locations else None


def module(folder: Path | None, pattern: str) -> Any:
    """One module of a package by its file, without what the package imports; None if it is not there."""
    found = sorted(folder.rglob(pattern)) if folder else []
    if not found:
        return None
    spec = spec_from_file_location(found[0].name.partition(".")[0], found[0])
    assert spec and spec.loader
    made = module_from_spec(spec)
    sys.modules[spec.name] = made
    spec.loader.exec_module(made)
    return made


def torchreid_ranking(folders: list[str]) -> Callable[..., Any] | None:
    """torchreid's Cython function, if that was compiled; it sorts each row of the distances itself."""
    found = module(package("torchreid", folders), f"rank_cy*{EXTENSION_SUFFIXES[0]}")
    return None if found is None else lambda distances, labels: found.evaluate_cy(distances, *labels, 50)[1]


def reid_package(folders: list[str]) -> Any:
    """The metrics of the package `reid`, which sort each row of the distances too."""
    return module(package("reid", folders), "eval/metrics.py")


def package_ranking(package: Any) -> Callable[..., float] | None:
    """Its mAP from distances."""
    if package is None:
        return None
    return lambda distances, labels: package._compute_reid_metrics(distances, *labels).mean_average_precision / 100


def package_scores(package: Any, data: Market) -> object:
    """Its scores from features."""
    return package._compute_reid_metrics(package.distance_matrix(data.query, data.gallery), *data.labels)


def published_reranking(folders: list[str]) -> Callable[[Market], np.ndarray] | None:
    """The published algorithm in NumPy, as torchreid ships it, from features: it wants the distances of all pairs."""
    found = module(package("torchreid", folders), "utils/rerank.py")
    if found is None:
        return None

    def rerank(data: Market) -> np.ndarray:
        query, gallery = torch.from_numpy(data.query), torch.from_numpy(data.gallery)
        pairs = ((query, gallery), (query, query), (gallery, gallery))
        return found.re_ranking(*(euclidean(a, b).numpy() for a, b in pairs))

    return rerank


def euclidean(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Distances of features of unit length."""
    return (one @ other.T).mul_(-2).add_(2).clamp_min_(0).sqrt_()


# --- memory ---


def peak_megabytes(step: Step) -> float | None:
    """The memory that a step takes at its peak beyond what is there before it; None where Linux does not tell."""
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    try:
        reset.write_text("5")
    except OSError:
        return None
    ctypes.CDLL(None).malloc_trim(0)  # give back what was freed, or the step would take it again unseen
    reset.write_text("5")  # forget the peak so far
    before = kilobytes(status, "VmRSS")
    step()
    return (kilobytes(status, "VmHWM") - before) / 1024


def kilobytes(status: Path, name: str) -> int:
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith(name))
