"""Where the peers of a cohort agree, where they are wrong together, and what asking all of them gains.

Logits are (K, N, C), labels (N,). An ensemble gains from peers that are wrong on *different* images, so agreement and
the both-wrong rate are two sides of what mutual learning costs the ensemble.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from dml_teach import metrics
from dml_teach.analysis.posteriors import logits_of
from dml_teach.errors import RunError
from dml_teach.losses import jensen_shannon, publish
from dml_teach.runs import Run


def both_wrong(logits: Tensor, labels: Tensor) -> Tensor:
    """Share of images that both peers name wrongly: (K, N, C), (N,) -> (K, K), each peer's own errors on the diagonal.

    Peers whose errors have nothing to do with one another are both wrong on e_k e_l of the images.
    """
    wrong = (logits.argmax(dim=-1) != labels).double()  # (K, N)
    return wrong @ wrong.T / len(labels)


def same_wrong(logits: Tensor, labels: Tensor) -> Tensor:
    """Share of images to which both peers give the *same* wrong name: (K, N, C), (N,) -> (K, K)."""
    named = logits.argmax(dim=-1)  # (K, N)
    shared = (named[:, None] == named[None, :]) & (named != labels)[:, None]  # (K, K, N)
    return shared.double().mean(dim=-1)


def disagreement(logits: Tensor) -> Tensor:
    """How far the peers' posteriors lie apart on each image, in nats: (K, N, C) -> (N,); sort by it to see disputes.

    It is their Jensen-Shannon divergence, H(mean posterior) - mean entropy: 0 if all say the same, at most ln K.
    """
    published = publish(logits)
    evenly = published.posteriors.new_full((len(logits),), 1 / len(logits))
    return jensen_shannon(published, evenly).clamp_min(0)


def ensemble_gain(logits: Tensor, labels: Tensor) -> Tensor:
    """Accuracy of the peers' averaged posterior minus their mean accuracy, a fraction: (K, N, C), (N,) -> scalar."""
    return metrics.top1(metrics.ensemble(logits), labels) - metrics.top1(logits, labels).mean()


MEASURES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mean_agreement": lambda logits, labels: metrics.mean_off_diagonal(metrics.agreement(logits)),
    "mean_pairwise_kl": lambda logits, labels: metrics.mean_off_diagonal(metrics.pairwise_kl(logits)),
    "mean_both_wrong": lambda logits, labels: metrics.mean_off_diagonal(both_wrong(logits, labels)),
    "entropy": lambda logits, labels: metrics.entropy(logits).mean(),
    "ensemble_gain": ensemble_gain,
}
"""What `over_epochs` measures, by name: functions of logits (K, N, C) and labels (N,), each one number."""


def over_epochs(run: Run, names: Sequence[str] = tuple(MEASURES)) -> dict[str, Tensor]:
    """Measures of a run's learning peers on its probe images after every epoch, from the posteriors in its folder.

    Args:
        run: a loaded run.
        names: keys of `MEASURES`.

    Returns:
        name -> (E,) float64. Means over pairs are NaN where a single peer learns.

    Raises:
        RunError: the run has no epoch yet, or a file of its folder can not be read.
    """
    if not run.epochs:
        raise RunError(f"{run.folder} holds no finished epoch: train or resume it first")
    labels = run.probe.labels
    epochs = [logits_of(posteriors[run.learning]) for posteriors in run.posteriors]
    return {name: torch.stack([MEASURES[name](logits, labels).double() for logits in epochs]) for name in names}
