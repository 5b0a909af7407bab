"""When two runs are the same."""

import torch

from dml_teach.runs import Run


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
