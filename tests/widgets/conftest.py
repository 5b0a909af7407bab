"""Run folders with opinions made up for the purpose."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dml_teach import runs
from dml_teach.runs import Probe


def opinions(epochs: int = 3, peers: int = 3, images: int = 7, classes: int = 4, seed: int = 0) -> Tensor:
    """Posteriors (E, K, N, C) fp32, some sharp and some wide."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(epochs, peers, images, classes, generator=generator)
    return (logits * torch.logspace(-0.5, 1.2, images)[:, None]).softmax(dim=-1)


def write_run(
    folder: Path,
    posteriors: Tensor,
    *,
    frozen: Sequence[int] = (),
    labels: Tensor | None = None,
    pixels: bool = True,
    hashes: Sequence[str] | None = None,
) -> Path:
    """A run folder as training would leave it, with these posteriors (E, K, N, C)."""
    epochs, peers, images, classes = posteriors.shape
    labels = torch.arange(images) % classes if labels is None else labels
    shown = torch.arange(images * 36).reshape(images, 1, 6, 6).to(torch.uint8) if pixels else None
    named = tuple(hashes or (f"{i:064x}" for i in range(images)))
    runs.start(folder, Probe(labels, named, shown))
    config = {
        "peers": [{"network": "small", "options": {}, "parameters": 1, "frozen": k in frozen} for k in range(peers)],
        "data": {"name": "made up", "class_names": [f"class {c}" for c in "abcdefghijklmnop"[:classes]]},
        "seed": 0,
    }
    runs.write_config(folder, config)
    for epoch in range(epochs):
        runs.append_epoch(folder, {"split": "probe", "epoch": epoch + 1}, list(posteriors[: epoch + 1]))
    return folder


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """Write a run folder of a name; posteriors by default as `opinions` makes them."""

    def make(name: str = "run", posteriors: Tensor | None = None, **more) -> Path:
        return write_run(tmp_path / name, opinions() if posteriors is None else posteriors, **more)

    return make
