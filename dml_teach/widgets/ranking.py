"""Rankings as the retrieval explorer shows them: what stands in which place, and where the right answers are.

The protocol is Market-1501's: of the gallery, images of the query's identity by another camera are matches; those by
the query's own camera and junk detections (identity -1) are left out before places are counted; all others are wrong.
Equal distances are ordered by the gallery's own order.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from dml_teach.data.retrieval import DISTRACTOR, JUNK, RetrievalSet
from dml_teach.errors import ConfigError

WRONG, MATCH, BAD_DETECTION, SAME_CAMERA = range(4)
"""What an image of the gallery is to a query; the last two are left out."""


class Ranking(NamedTuple):
    """The gallery in the order of one matrix of distances.

    Attributes:
        top: (Q, P) int32, the first P images of the gallery for each query, those left out among them.
        distances: (Q, P) float32, of these.
        kinds: (Q, P) uint8, of these: `WRONG`, `MATCH`, `BAD_DETECTION` or `SAME_CAMERA`.
        places: for each query the places of its matches, from 1, ascending; none for a query without a match.
    """

    top: Tensor
    distances: Tensor
    kinds: Tensor
    places: list[Tensor]


def kinds(images: RetrievalSet, query: int) -> Tensor:
    """What each image of the gallery is to a query: (G,) uint8."""
    gallery, identity = images.gallery, images.query.identities[query]
    # A query that is itself a distractor or junk asks for nobody.
    same = (gallery.identities == identity) & (identity > DISTRACTOR)
    here = gallery.cameras == images.query.cameras[query]
    found = torch.full((len(gallery),), WRONG, dtype=torch.uint8)
    found[same & ~here] = MATCH
    found[same & here] = SAME_CAMERA
    found[gallery.identities == JUNK] = BAD_DETECTION
    return found


def rank(name: str, distances: Any, images: RetrievalSet, places: int) -> Ranking:
    """The ranking by distances (Q, G), of which the first `places` are kept for each query.

    Raises:
        ConfigError: the distances do not fit the images, or one of them is not a number.
    """
    shape = (len(images.query), len(images.gallery))
    try:
        matrix = torch.as_tensor(distances).detach().cpu()
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConfigError(f"distances of '{name}' are no matrix: {error}") from error
    if matrix.shape != shape:
        raise ConfigError(f"distances of '{name}' have shape {tuple(matrix.shape)}, not {shape}, queries by gallery")
    if matrix.isnan().any():
        raise ConfigError(f"distances of '{name}' hold something that is not a number")
    rows = [_row(matrix[query], kinds(images, query), places) for query in range(shape[0])]
    top, near, what, hits = zip(*rows, strict=True)
    return Ranking(torch.stack(top), torch.stack(near), torch.stack(what), list(hits))


def _row(distances: Tensor, what: Tensor, places: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """One query's part of a `Ranking`: a row at a time, for a whole gallery in order is large."""
    order = distances.sort(stable=True).indices
    ordered = what[order]
    counted = (ordered <= MATCH).cumsum(dim=0)  # places once the images left out are gone
    top = order[:places]
    return top.int(), distances[top].float(), ordered[:places], counted[ordered == MATCH]
