"""What peers know: their logits on images that are not trained on, and the metrics of a run's records.

In a test of retrieval a network is asked for embeddings, not for logits: the identities are new, and its head knows
none of them. An embedding is what `features` gives (the last maps, averaged over their positions), divided by its
length; images are ranked by the cosine between embeddings. The *concatenated* embedding of several networks is their
embeddings side by side, each divided by its own length first. It costs as many networks at test time as it joins: its
scores are an ensemble's, and are named so, apart from those of a single network.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dml_teach import metrics, reid
from dml_teach.cohort import Cohort
from dml_teach.data.batches import evaluation_batches
from dml_teach.data.images import ImageSet
from dml_teach.data.retrieval import RetrievalSet, TestSet
from dml_teach.distributed import Mesh
from dml_teach.models.network import Network

EVALUATION_BATCH = 500
EVALUATION_PIXELS = EVALUATION_BATCH * 32 * 64  # of larger images, fewer at a time
RANKS = (1, 5, 10)
OF_RETRIEVAL = ("mAP", "mAP_trapezoid", *(f"rank{m}" for m in RANKS), "mINP")
"""What is measured of a retrieval: fractions, over the queries that have a right answer in the gallery. mAP is of the
sum family, mAP_trapezoid of the Market MATLAB code's; see `reid.evaluate`."""

Sizes = Sequence[tuple[int, int]]


class _Body(nn.Module):
    """A network without its head, for `predict`."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return self.network.features(images)


@torch.no_grad()
def predict(network: nn.Module, data: ImageSet, device: torch.device, sizes: Sizes = ()) -> Tensor:
    """Logits (N, C) of a network in eval mode, on the CPU in at least fp32; images are normalised and `resized` to
    `sizes`, never augmented."""
    network.eval()
    height, width = sizes[-1] if sizes else data.images.shape[2:]
    count = max(1, min(EVALUATION_BATCH, EVALUATION_PIXELS // (height * width)))
    logits = [network(images) for images, _ in evaluation_batches(data, count, device, sizes=sizes)]
    return torch.cat(logits).cpu().float()


def predict_all(cohort: Cohort, data: ImageSet, mesh: Mesh, sizes: Sizes = ()) -> Tensor:
    """Logits (K, N, C) of all peers, on all ranks."""
    found = _of_peers(cohort, mesh, lambda network: (predict(network, data, mesh.device, sizes),))
    return torch.stack([logits for (logits,) in found])


def features(network: Network, data: ImageSet, device: torch.device, sizes: Sizes = ()) -> Tensor:
    """Features (N, D) of all images, on the CPU in fp32; like `predict`, it leaves the network in eval mode."""
    return predict(_Body(network), data, device, sizes)


def examine(cohort: Cohort, test: TestSet, mesh: Mesh, sizes: Sizes = ()) -> dict[str, Any]:
    """The metrics of a run's test line: `compare` for images of the classes, `compare_embeddings` for a retrieval.

    On ranks, only the leader's are complete: of a retrieval the others compute none.
    """
    if isinstance(test, ImageSet):
        return compare(predict_all(cohort, test, mesh, sizes), test.labels, cohort.learning)
    found = _of_peers(cohort, mesh, lambda network: embed(network, test, mesh.device, sizes))
    return compare_embeddings(found, test, cohort.learning, mesh.device) if mesh.leader else {}


def _of_peers(cohort: Cohort, mesh: Mesh, look: Callable[[Any], tuple[Tensor, ...]]) -> list[tuple[Tensor, ...]]:
    """What `look` finds in each peer's network; each rank looks at its own, and all learn what was found."""
    found: list[Any] = [None] * len(cohort.peers)
    if mesh.shard == 0:
        looks = cohort.run(lambda k: look(cohort.peers[k].evaluated), cohort.here)
        for k, seen in zip(cohort.here, looks, strict=True):
            found[k] = seen
    return mesh.everywhere(found)


def embed(network: Network, test: RetrievalSet, device: torch.device, sizes: Sizes = ()) -> tuple[Tensor, Tensor]:
    """Embeddings of unit length of the query (Q, D) and of the gallery (G, D), on the CPU in fp32."""
    query, gallery = (
        features(network, test.unlabelled(part), device, sizes) for part in (test.query, test.gallery)
    )  # fmt: skip
    return nn.functional.normalize(query), nn.functional.normalize(gallery)


def concatenate(embeddings: Sequence[tuple[Tensor, ...]]) -> tuple[Tensor, Tensor]:
    """The embeddings of several networks side by side: query (Q, D1 + D2 + ...) and gallery (G, D1 + D2 + ...)."""
    query, gallery = zip(*embeddings, strict=True)
    return torch.cat(query, dim=1), torch.cat(gallery, dim=1)


def retrieve(query: Tensor, gallery: Tensor, test: RetrievalSet, device: torch.device) -> dict[str, float]:
    """`OF_RETRIEVAL` of embeddings (Q, D) and (G, D), ranked by cosine."""
    asked, found = test.query, test.gallery
    who = (asked.identities, found.identities, asked.cameras, found.cameras)
    scores = reid.evaluate(query, gallery, *who, max_rank=max(RANKS), device=device)
    trapezoid = reid.evaluate(query, gallery, *who, ap="trapezoid", max_rank=max(RANKS), device=device)
    ranks = (float(scores.cmc[m - 1]) for m in RANKS)
    return dict(
        zip(OF_RETRIEVAL, (float(scores.mAP), float(trapezoid.mAP), *ranks, float(scores.mINP)), strict=True)
    )  # fmt: skip


def compare_embeddings(
    embeddings: Sequence[tuple[Tensor, ...]], test: RetrievalSet, learning: Sequence[int], device: torch.device
) -> dict[str, Any]:
    """The metrics of a retrieval's test line from each peer's embeddings of query (Q, D) and gallery (G, D).

    `OF_RETRIEVAL` of each peer, and as ensemble_mAP and so on those of the `learning` peers' concatenated embedding.
    """
    of_peers = [retrieve(query, gallery, test, device) for query, gallery in embeddings]
    joined = retrieve(*concatenate([embeddings[k] for k in learning]), test, device)
    return {
        **{name: [each[name] for each in of_peers] for name in OF_RETRIEVAL},
        **{f"ensemble_{name}": value for name, value in joined.items()},
    }


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
