"""Writing files so that a reader never meets half of one."""

import json
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def write_atomic(path: Path, content: bytes) -> None:
    """Write beside the target, flush, rename: after a crash the file is the old one or the new one, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path, content: object) -> None:
    """JSON, indented, with a final newline; NaN is refused, since JSON has none."""
    write_atomic(path, (json.dumps(content, indent=2, allow_nan=False) + "\n").encode())


def write_tensors(path: Path, tensors: dict[str, "Tensor"], metadata: dict[str, str] | None = None) -> None:
    """Named tensors as safetensors: a format that holds numbers and nothing that runs."""
    write_atomic(path, packed(tensors, metadata))


def packed(tensors: dict[str, "Tensor"], metadata: dict[str, str] | None = None) -> bytes:
    """The content of such a file."""
    import torch
    from safetensors.torch import save

    # Copies, since the format refuses tensors that share memory, as tied weights do.
    own = {n: t.detach().to("cpu", copy=True, memory_format=torch.contiguous_format) for n, t in tensors.items()}
    return save(own, metadata)


def unpacked(content: bytes) -> dict[str, "Tensor"]:
    """The tensors of such a content, on the CPU."""
    from safetensors.torch import load

    return load(content)
