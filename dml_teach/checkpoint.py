"""Checkpoints: all that a run needs to go on to the bit, in files that nothing can half write or quietly alter.

    checkpoints/step-00000120.safetensors     the run after 120 steps; the last two are kept

A checkpoint is one safetensors file: named tensors and, in its metadata, a JSON document of facts and a SHA-256 over
facts and tensors. It is written beside its place and renamed into it, so at every moment the newest whole file is good.
Reading trusts nothing: a file that was truncated, altered or renamed is passed over for the one before it. Nothing is
unpickled.
"""

import hashlib
import json
import re
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from torch import Tensor

from dml_teach import __version__
from dml_teach.errors import CheckpointError
from dml_teach.files import write_tensors

KEPT = 2
FORMAT = "2"
"""Counted up whenever a run stores other tensors or facts. The first had no number."""
NAME = re.compile(r"step-(\d{8,})\.safetensors")


class CheckpointWarning(UserWarning):
    """A checkpoint was damaged, and the one before it was taken."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was read and found whole.

    Attributes:
        path: its file.
        step: after how many steps it was taken.
        tensors: on the CPU, by name.
        facts: the JSON document.
    """

    path: Path
    step: int
    tensors: dict[str, Tensor]
    facts: dict[str, Any]


def save(folder: Path, step: int, tensors: dict[str, Tensor], facts: dict[str, Any]) -> Path:
    """Write the checkpoint of a step into `folder` and return its file; of the older ones, one is kept.

    Raises:
        CheckpointError: the disk is full or refuses to be written; the checkpoints that were there still are.
    """
    path = folder / f"step-{step:08d}.safetensors"
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    document = json.dumps(facts, allow_nan=False)
    metadata = {"format": FORMAT, "facts": document, "sha256": digest(step, document, on_cpu)}
    try:
        # What a killed process left half written would otherwise take its place on the disk for ever.
        for leftover in folder.glob(".*.partial"):
            leftover.unlink()
        write_tensors(path, on_cpu, metadata)
        # A later step is a damaged file that was passed over: its steps are being trained again.
        older = [other for other in files(folder) if _step(other) < step]
        for other in set(files(folder)) - {path, *older[1 - KEPT :]}:
            other.unlink()
    except OSError as error:
        raise CheckpointError(
            f"{path} can not be written ({error.strerror or error}); the checkpoints before it stand: free some space,"
            " then resume the run"
        ) from error
    return path


def latest(folder: Path) -> Checkpoint:
    """The newest good checkpoint; for each newer one that is damaged, a `CheckpointWarning` says what was lost.

    Raises:
        CheckpointError: there is none, or none is good.
    """
    damage: list[str] = []
    for path in reversed(files(folder)):
        try:
            found = read(path)
        except CheckpointError as error:
            damage.append(str(error))
            continue
        for sentence in damage:
            again = f"it goes on from step {found.step}, and what came after is trained again"
            warnings.warn(f"{sentence}: {again}", CheckpointWarning, stacklevel=2)
        return found
    raise CheckpointError("; ".join(damage) or f"{folder} holds no checkpoint: train the run anew, in an empty folder")


def read(path: Path) -> Checkpoint:
    """The checkpoint in that file.

    Raises:
        CheckpointError: it is not as it was written; the message names it.
    """
    try:
        content = path.read_bytes()
        metadata = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
        document, written = metadata["facts"], metadata["sha256"]
        tensors = load_tensors(content)
        step = _step(path)
        if digest(step, document, tensors) != written:
            raise ValueError("its contents do not have the SHA-256 that was written with them")
        if metadata.get("format") != FORMAT:
            raise CheckpointError(
                f"{path} was written by another version of dml_teach: go on with that one, or train the run anew, in an"
                " empty folder"
            )
        return Checkpoint(path, step, tensors, json.loads(document))
    # What a header with a few flipped bits can raise on its way through JSON and safetensors.
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise CheckpointError(f"{path} is damaged ({type(error).__name__}: {error})") from error


def files(folder: Path) -> list[Path]:
    """The checkpoints of a folder, oldest first, good or not."""
    if not folder.is_dir():
        return []
    return sorted((path for path in folder.iterdir() if NAME.fullmatch(path.name)), key=_step)


def discard(folder: Path) -> None:
    """Remove the folder and the checkpoints in it: the run has finished."""
    if folder.exists():
        shutil.rmtree(folder)


def digest(step: int, document: str, tensors: dict[str, Tensor]) -> str:
    """SHA-256 over the step, the document and every tensor's name, dtype, shape and bytes, as hexadecimal digits."""
    found = hashlib.sha256(json.dumps([step, document, len(tensors)]).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        found.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def require_same(found: Checkpoint, field: str, then: Any, now: Any) -> None:
    """Raise `CheckpointError` with the first field in which two JSON-like values differ."""
    if isinstance(then, dict) and isinstance(now, dict):
        for name in [*then, *(name for name in now if name not in then)]:
            require_same(found, f"{field}.{name}", then.get(name), now.get(name))
    elif then != now:
        raise CheckpointError(
            f"{found.path} is of a run with other settings: {field} was {_short(then)} and is {_short(now)} now;"
            " the run can go on only with what it began with"
        )


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def arithmetic() -> dict[str, Any]:
    """What decides about the last bit of a sum, besides the device."""
    return {
        "dml_teach": __version__,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "dtype": str(torch.get_default_dtype()).removeprefix("torch."),
    }


def random_states(device: torch.device) -> dict[str, Tensor]:
    """States of PyTorch's own generators: ours are passed around, but a network may draw from these."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def _step(path: Path) -> int:
    matched = NAME.fullmatch(path.name)
    if not matched:
        raise ValueError("its name is not that of a checkpoint")
    return int(matched[1])
