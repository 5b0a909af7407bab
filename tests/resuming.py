"""Runs that end before their end, and when two runs are the same."""

import torch

from dml_teach import topology
from dml_teach.recipes import Recipe
from dml_teach.runs import Run
from dml_teach.trainer import fit

RECIPE = Recipe(name="test", epochs=3, batch_size=20, learning_rate=0.05, probe_images=30)  # 3 steps an epoch


class Killed(BaseException):
    """Stands for a process that ends between two instructions."""


def begin(
    folder, sets, peers=("small", "small"), matrix=None, frozen=(), checkpoint_seconds=0.0, tensorboard=False, **changes
):
    matrix = topology.mutual(len(peers)) if matrix is None else matrix
    return fit(
        peers, matrix, *sets, RECIPE.with_(**changes), seed=0, out=folder, frozen=frozen, device="cpu", progress=False,
        checkpoint_seconds=checkpoint_seconds, tensorboard=tensorboard,
    )  # fmt: skip


def assert_same(a: Run, b: Run) -> None:
    """Equal to the bit in metrics, posteriors and weights, and equal in the names of their files; times may differ."""
    strip = [[{k: v for k, v in record.items() if k != "seconds"} for record in run.epochs] for run in (a, b)]
    assert strip[0] == strip[1] and a.test == b.test
    assert torch.equal(a.posteriors, b.posteriors)
    for k in range(len(a.peers)):
        first, second = a.weights(k), b.weights(k)
        assert first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
    names = [{path.relative_to(run.folder).as_posix() for path in run.folder.rglob("*")} for run in (a, b)]
    assert names[0] == names[1]
