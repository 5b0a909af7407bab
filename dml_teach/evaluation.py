"""What peers know: their logits on images that are not trained on, and the metrics of a run's records."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dml_teach import metrics
from dml_teach.cohort import Cohort
from dml_teach.data.batches import evaluation_batches
from dml_teach.data.images import ImageSet

EVALUATION_BATCH = 500


@torch.no_grad()
def predict(network: nn.Module, data: ImageSet, device: torch.device) -> Tensor:
    """Logits (N, C) of a network in eval mode, on the CPU in at least fp32; images are normalised, never augmented."""
    network.eval()
    logits = [network(images) for images, _ in evaluation_batches(data, EVALUATION_BATCH, device)]
    return torch.cat(logits).cpu().float()


def predict_all(cohort: Cohort, data: ImageSet, device: torch.device) -> Tensor:
    """Logits (K, N, C) of all peers."""
    return torch.stack(list(cohort.run(lambda peer: predict(peer.evaluated, data, device), cohort.peers)))


def compare(logits: Tensor, labels: Tensor, learning: Sequence[int]) -> dict[str, Any]:
    """The metrics of a line of metrics.jsonl from logits (K, N, C) and labels (N,).

    Means over pairs and the ensemble are over the `learning` peers.
    """
    among = logits[list(learning)]
    averaged = metrics.ensemble(among)
    return {
        "top1": metrics.top1(logits, labels),
        "nll": metrics.nll(logits, labels),
        "entropy": metrics.entropy(logits),
        "pairwise_kl": metrics.pairwise_kl(logits),
        "agreement": metrics.agreement(logits),
        "mean_pairwise_kl": metrics.mean_off_diagonal(metrics.pairwise_kl(among)),
        "mean_agreement": metrics.mean_off_diagonal(metrics.agreement(among)),
        "ensemble_top1": metrics.top1(averaged, labels),
        "ensemble_nll": metrics.nll(averaged, labels),
    }
