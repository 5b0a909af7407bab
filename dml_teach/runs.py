"""A run's folder: what training writes, and the one thing that plots, tables and widgets read.

    config.json            settings: recipe, peers, topology, seed, data, device, provenance
    metrics.jsonl          a line per epoch, and one for the test set at the end (see below)
    probe.safetensors      the probe images' labels (N,) and, where they may be stored, pixels (N, C, H, W) uint8;
                           content hashes
    posteriors.safetensors posteriors (E, K, N, C) float32: of every peer on every probe image after every epoch
    weights/peer-0.safetensors ...         the parameters and buffers of each peer at the end
    checkpoints/           while the run is not finished (see `checkpoint`)

Every line of metrics.jsonl is an object. With K peers (a frozen teacher counts; what it lacks is null):

    split                  "probe" after an epoch, "test" in the last line
    epoch, learning_rate, seconds          of the epoch, on "probe" lines
    supervised, mimicry, feature, total, train_top1
                           means over the epoch's training images, lists of K, on "probe" lines; the first and the last
                           over those that have a label
    top1, nll, entropy     of each peer, lists of K
    pairwise_kl, agreement (K, K) matrices: row k, column l, D_KL(p_l || p_k) in nats and the fraction of equal answers
    mean_pairwise_kl, mean_agreement       over the pairs of learning peers; null if only one learns
    ensemble_top1, ensemble_nll            of the learning peers' averaged posterior

The "test" line of a run that is tested by retrieval has none of the last five rows, but, over the queries that have a
right answer in the gallery:

    mAP, mAP_trapezoid, rank1, rank5, rank10, mINP         of each peer alone, lists of K; mAP sums precisions at the
                           right answers, mAP_trapezoid is that of the Market MATLAB code
    ensemble_mAP, ensemble_mAP_trapezoid, ensemble_rank1, ensemble_rank5, ensemble_rank10, ensemble_mINP
                           of the learning peers' concatenated embedding (see `evaluation`): an ensemble's numbers

Losses and entropies are in nats; accuracies, agreement and what retrieval is measured by are fractions. The test set is
read once, after the last epoch.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from dml_teach.errors import RunError
from dml_teach.files import write_atomic, write_json, write_tensors

FORMAT = 1
UNFINISHED = {"probe.safetensors", "metrics.jsonl", "checkpoints"}
"""What a run folder holds before its config.json."""


@dataclass(frozen=True)
class Probe:
    """The images on which the peers are compared after every epoch.

    Attributes:
        labels: (N,) int64.
        hashes: sha256 of each image's bytes, so that whoever has the data can find it.
        images: (N, C, H, W) uint8, or None where the data's terms do not let pixels be stored.
    """

    labels: Tensor
    hashes: tuple[str, ...]
    images: Tensor | None


@dataclass(frozen=True)
class Run:
    """A loaded run folder. Tensors are read when they are asked for.

    Attributes:
        folder: where it lies.
        config: config.json.
        epochs: the "probe" lines of metrics.jsonl, in order.
        test: the "test" line, or None while the run is not finished.
    """

    folder: Path
    config: dict[str, Any]
    epochs: list[dict[str, Any]]
    test: dict[str, Any] | None

    @property
    def peers(self) -> list[str]:
        """The networks' names, K of them."""
        return [peer["network"] for peer in self.config["peers"]]

    @property
    def learning(self) -> list[int]:
        """Which peers learn; the others are frozen teachers."""
        return [k for k, peer in enumerate(self.config["peers"]) if not peer["frozen"]]

    @property
    def class_names(self) -> list[str]:
        """Names of the C classes."""
        return self.config["data"]["class_names"]

    def curve(self, name: str) -> Tensor:
        """A metric over the epochs: (E,), (E, K) or (E, K, K) float64; NaN where a peer lacks it."""
        if self.epochs and name not in self.epochs[0]:
            raise RunError(
                f"{self.folder / 'metrics.jsonl'} has no metric '{name}'; it has {', '.join(self.epochs[0])}"
            )
        return torch.tensor(_nan_for_null([record[name] for record in self.epochs]), dtype=torch.float64)

    @cached_property
    def posteriors(self) -> Tensor:
        """(E, K, N, C) float32."""
        return _read(self.folder / "posteriors.safetensors")[0]["posteriors"]

    @cached_property
    def probe(self) -> Probe:
        """The probe set."""
        tensors, metadata = _read(self.folder / "probe.safetensors")
        return Probe(tensors["labels"], tuple(json.loads(metadata["hashes"])), tensors.get("images"))

    def weights(self, k: int) -> dict[str, Tensor]:
        """Parameters and buffers of peer k at the end of the run, by name."""
        return _read(self.folder / "weights" / f"peer-{k}.safetensors")[0]


def start(folder: Path, probe: Probe) -> None:
    """Make the folder of a new run with its probe set; with `write_config` it becomes one that `load` reads.

    Raises:
        RunError: the folder already holds a run or other files, which would be lost.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RunError(f"{folder} is not empty; choose another --out, or move what is there away")
    tensors = {"labels": probe.labels} | ({} if probe.images is None else {"images": probe.images})
    with _writing(folder / "probe.safetensors") as path:
        write_tensors(path, tensors, {"hashes": json.dumps(probe.hashes)})
    with _writing(folder / "metrics.jsonl") as path:
        path.touch()


def begun(folder: Path, config: dict[str, Any]) -> bool:
    """Whether an earlier attempt at this very run left it there, to be gone on with.

    What an attempt leaves that was ended before it had written config.json is removed. Any other run or file is left,
    for `start` to refuse the folder.
    """
    if (folder / "config.json").is_file():
        settings = (
            {n: v for n, v in c.items() if n not in ("format", "provenance")} for c in (load(folder).config, config)
        )
        then, now = (json.loads(json.dumps(each)) for each in settings)
        return bool(then == now)
    if folder.is_dir() and {path.name for path in folder.iterdir() if path.suffix != ".partial"} <= UNFINISHED:
        shutil.rmtree(folder)
    return False


def write_config(folder: Path, config: dict[str, Any]) -> None:
    """Write config.json."""
    with _writing(folder / "config.json") as path:
        write_json(path, {"format": FORMAT, **config})


def append(folder: Path, record: dict[str, Any]) -> str:
    """Add one line to metrics.jsonl and return it; numbers that are not finite become null."""
    line = json.dumps(_null_for_nan(record), allow_nan=False)
    with _writing(folder / "metrics.jsonl") as path, path.open("a") as file:
        file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())
    return line


def append_epoch(folder: Path, record: dict[str, Any], posteriors: list[Tensor]) -> str:
    """Write down an epoch: its line, and posteriors.safetensors of the E epochs so far, E times (K, N, C).

    Returns a digest of what the epoch added, for `cut_back`.
    """
    with _writing(folder / "posteriors.safetensors") as path:
        write_tensors(path, {"posteriors": torch.stack(posteriors)})
    return _digest(append(folder, record), posteriors[-1])


def cut_back(folder: Path, digests: list[str]) -> list[Tensor]:
    """Undo what was written after the epochs with these digests, and return their posteriors, E times (K, N, C).

    Raises:
        RunError: metrics.jsonl or posteriors.safetensors does not begin with these epochs.
    """
    for leftover in folder.rglob(".*.partial"):  # half written when the run was killed
        leftover.unlink()
    metrics, path = folder / "metrics.jsonl", folder / "posteriors.safetensors"
    text = metrics.read_text()
    lines = text.splitlines()[: len(digests)]
    posteriors = list(_read(path)[0].get("posteriors", torch.empty(0))) if path.exists() else []
    kept = posteriors[: len(digests)]
    if [_digest(line, epoch) for line, epoch in zip(lines, kept, strict=False)] != digests:
        raise RunError(f"{metrics} or {path} was altered since the checkpoint was taken: restore it, or train anew")
    if text != "".join(line + "\n" for line in lines):
        write_atomic(metrics, "".join(line + "\n" for line in lines).encode())
    if not kept:
        path.unlink(missing_ok=True)
    elif len(kept) < len(posteriors):
        write_tensors(path, {"posteriors": torch.stack(kept)})
    return kept


def write_weights(folder: Path, k: int, network: nn.Module) -> None:
    """Store the parameters and buffers of peer k."""
    with _writing(folder / "weights" / f"peer-{k}.safetensors") as path:
        write_tensors(path, network.state_dict())


def load(folder: Path | str) -> Run:
    """Read a run folder.

    Raises:
        RunError: it is no run folder, or a file in it is missing or damaged; the message names the file.
    """
    folder = Path(folder)
    if not (folder / "config.json").is_file():
        raise RunError(f"{folder} is not a run folder: it has no config.json")
    try:
        config = json.loads((folder / "config.json").read_text())
        text = (folder / "metrics.jsonl").read_text()
        # A run that was killed while it wrote can leave a torn last line: the lines before it, which end in a newline,
        # stand.
        records = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
    except (OSError, ValueError) as error:
        raise RunError(f"{folder}: config.json or metrics.jsonl can not be read ({error})") from error
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise RunError(
            f"{folder / 'config.json'} is not of format {FORMAT}; it was written by another version or another program"
        )
    epochs = [record for record in records if record.get("split") == "probe"]
    tests = [record for record in records if record.get("split") == "test"]
    return Run(folder, config, epochs, tests[-1] if tests else None)


def find(folder: Path | str) -> list[Run]:
    """All runs in a folder and below, sorted by path."""
    return [load(config.parent) for config in sorted(Path(folder).rglob("config.json"))]


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise RunError(f"{path} can not be read ({error})") from error


@contextmanager
def _writing(path: Path) -> Iterator[Path]:
    """A full disk does not say which file it had no room for; we do."""
    try:
        yield path
    except OSError as error:
        raise RunError(f"{path} can not be written ({error.strerror or error})") from error


def _digest(line: str, posteriors: Tensor) -> str:
    """SHA-256 of a line of metrics.jsonl and of the epoch's posteriors (K, N, C) float32."""
    return hashlib.sha256(line.encode() + posteriors.numpy().tobytes()).hexdigest()


def _null_for_nan(value: Any) -> Any:
    if isinstance(value, Tensor):
        value = value.tolist()
    if isinstance(value, dict):
        return {name: _null_for_nan(v) for name, v in value.items()}
    if isinstance(value, list):
        return [_null_for_nan(v) for v in value]
    return None if isinstance(value, float) and not -float("inf") < value < float("inf") else value


def _nan_for_null(value: Any) -> Any:
    if isinstance(value, list):
        return [_nan_for_null(v) for v in value]
    return float("nan") if value is None else value
