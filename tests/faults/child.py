"""A process that trains, and dies where it is told to.

Importing PyTorch takes seconds, a tiny run a fraction of one. So one warm process imports, and forks a child for each
run: `python -m tests.faults.child` reads jobs from stdin, a line of JSON each, and answers each with a line that holds
the child's exit code, negative for a signal.

A job: {"folder": path, "setting": name, "kill": null or {"after": seconds} or {"place": name, "count": n}}.
Places are in the n-th write of a checkpoint: "before" the rename, "half" of the bytes written, "after" the rename.
"""

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import torch

from dml_teach import topology
from dml_teach.recipes import Recipe
from dml_teach.trainer import fit, resume
from tests.conftest import striped

RECIPE = Recipe(name="test", epochs=3, batch_size=20, learning_rate=0.05, probe_images=30)  # 3 steps an epoch
SETTINGS = {
    "simultaneous": (RECIPE.with_(augment=True), True),
    "sequential": (RECIPE.with_(order="sequential"), False),
    "adam": (RECIPE.with_(optimizer="adam", learning_rate=0.01, augment=True), False),
}
"""A recipe, and whether the peers run side by side."""


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)  # the signal is on its way


class Half:
    """A file in which a write ends halfway, together with the process."""

    def __init__(self, file):
        self.file = file

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def write(self, content):
        self.file.write(content[: len(content) // 2])
        self.file.flush()
        die()


def arm(place: str, count: int) -> None:
    """Let this process die in the count-th write of a checkpoint."""
    rename, opened, seen = Path.replace, Path.open, [0]

    def replace(self, target):
        hit = False
        if self.parent.name == "checkpoints":
            seen[0] += 1
            hit = seen[0] == count
        if hit and place == "before":
            die()
        rename(self, target)
        if hit and place == "after":
            die()

    def open_(self, *arguments, **named):
        file = opened(self, *arguments, **named)
        hit = self.parent.name == "checkpoints" and self.suffix == ".partial" and seen[0] == count - 1
        return Half(file) if hit and place == "half" else file

    Path.replace, Path.open = replace, open_


def train(folder: Path, setting: str) -> None:
    """Go on with the run in the folder; where there is none yet, begin it."""
    recipe, parallel = SETTINGS[setting]
    images = striped(90, seed=1), striped(45, seed=2)
    if (folder / "config.json").exists():
        resume(folder, *images, parallel=parallel, progress=False, checkpoint_seconds=0.0)
        return
    shutil.rmtree(folder, ignore_errors=True)  # killed before there was a run
    fit(
        ["small", "small"], topology.mutual(2), *images, recipe, seed=0, out=folder, device="cpu", parallel=parallel,
        progress=False, checkpoint_seconds=0.0,
    )  # fmt: skip


def do(job: dict) -> int:
    kill = job["kill"] or {}
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if "place" in kill:
                arm(kill["place"], kill["count"])
            train(Path(job["folder"]), job["setting"])
            code = 0
        finally:
            sys.stderr.flush()
            os._exit(code)
    if "after" in kill:
        time.sleep(kill["after"])
        os.kill(child, signal.SIGKILL)  # one that has ended still waits for us, so its number is not another's
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.optim.SGD([torch.zeros(1)])  # the first optimizer imports for a second
    for line in sys.stdin:
        print(do(json.loads(line)), flush=True)
