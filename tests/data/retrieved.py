"""Mean average precision, written out: the slow and obvious reference."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from dml_teach.data.retrieval import JUNK, RetrievalSet


def mean_average_precision(query: Tensor, gallery: Tensor, test: RetrievalSet) -> float:
    """Of features (Q, D) and (G, D) by cosine distance: a fraction."""
    similarity = normalize(query.double(), dim=1) @ normalize(gallery.double(), dim=1).T
    found = []
    for row, identity, camera in zip(similarity, test.query.identities, test.query.cameras, strict=True):
        same = test.gallery.identities == identity
        kept = (test.gallery.identities != JUNK) & ~(same & (test.gallery.cameras == camera))
        right = same[kept][row[kept].argsort(descending=True, stable=True)]
        ranks = right.nonzero().flatten() + 1
        found.append((torch.arange(1, len(ranks) + 1) / ranks).mean())
    return torch.stack(found).mean().item()
