"""The retrieval explorer: a query, its ranking, and how the average precision grows with each hit."""

from collections.abc import Mapping, Sequence
from typing import Any

import anywidget
import numpy as np
import torch
import traitlets
from torch import Tensor

from dml_teach.data.retrieval import IdentitySet, RetrievalSet
from dml_teach.errors import ConfigError, DmlTeachError
from dml_teach.widgets import code, packing
from dml_teach.widgets.ranking import rank

FILES = ("numbers", "retrieval_numbers", "page", "pictures", "retrieval_chart", "retrieval")
QUERIES, PLACES = 24, 20
Array = Tensor | np.ndarray
RERANKED = "re-ranked"


@code.explained
class RetrievalExplorer(anywidget.AnyWidget):
    """A query and its ranking: what is a match, what is left out, and how the average precision comes about.

    Several rankings of the same gallery may stand side by side: of single peers, of their ensemble, each before and
    after re-ranking. AP is drawn hit by hit in both conventions: the sum of the precisions at the hits (most Python
    code), and the area under the precision-recall curve by trapezoids (Market-1501's own code).

    Distances that do not fit the images give a message in place of the widget.

    Args:
        distances: (Q, G) from each query to each image of the gallery, smaller is nearer; or several by name.
        images: the test of retrieval, its queries and gallery in the order of the distances.
        reranked: distances after re-ranking, as `distances`; by name, not every ranking needs them.
        queries: the queries that can be looked at; by default up to `QUERIES`, at even distances.
        places: how many images of a ranking are shown.

    Attributes:
        query: the query that is shown, its place in `images.query`.
        ranking: the ranking that is shown, by name; after re-ranking "NAME, re-ranked".
        place: how far down the ranking is read, from 1.
        message: why there is nothing to show, or empty.
    """

    _esm = code.module(*FILES)
    _css = code.style()
    about = traitlets.Dict().tag(sync=True)
    top = traitlets.Bytes().tag(sync=True)
    nearness = traitlets.Bytes().tag(sync=True)
    kinds = traitlets.Bytes().tag(sync=True)
    hits = traitlets.Bytes().tag(sync=True)
    pixels = traitlets.Bytes().tag(sync=True)
    message = traitlets.Unicode().tag(sync=True)
    query = traitlets.Int(0).tag(sync=True)
    ranking = traitlets.Unicode().tag(sync=True)
    place = traitlets.Int(1).tag(sync=True)

    def __init__(
        self,
        distances: Array | Mapping[str, Array],
        images: RetrievalSet,
        *,
        reranked: Array | Mapping[str, Array] | None = None,
        queries: Sequence[int] | None = None,
        places: int = PLACES,
    ) -> None:
        try:
            state = _state(_by_name(distances, reranked), images, queries, places)
        except DmlTeachError as error:
            state = {"message": str(error)}
        super().__init__(**state)

    def __repr__(self) -> str:
        if self.message:
            return f"RetrievalExplorer: nothing to show. {self.message}"
        return f"RetrievalExplorer: {len(self.about['queries'])} queries, {', '.join(self.about['rankings'])}."

    @traitlets.validate("query")
    def _stored_query(self, proposal: Any) -> int:
        return self._one_of("query", proposal["value"], self.about.get("queries"))

    @traitlets.validate("ranking")
    def _known_ranking(self, proposal: Any) -> str:
        return self._one_of("ranking", proposal["value"], self.about.get("rankings"))

    @traitlets.validate("place")
    def _shown_place(self, proposal: Any) -> int:
        return min(max(proposal["value"], 1), self.about.get("places", 1))

    def _one_of(self, name: str, value: Any, stored: Sequence[Any] | None) -> Any:
        if stored is not None and value not in stored:
            raise traitlets.TraitError(f"{name} {value!r} is not stored; choose one of {', '.join(map(str, stored))}")
        return value


def _by_name(distances: Any, reranked: Any) -> dict[str, Array]:
    """All rankings' distances by name, those after re-ranking behind those before."""
    before = dict(distances) if isinstance(distances, Mapping) else {"ranking": distances}
    after = (
        dict(reranked) if isinstance(reranked, Mapping) else {} if reranked is None else {next(iter(before)): reranked}
    )
    if unknown := set(after) - set(before):
        raise ConfigError(f"re-ranked distances of {', '.join(sorted(unknown))}, but there are none before re-ranking")
    found = {}
    for name, matrix in before.items():
        found[name] = matrix
        if name in after:
            found[f"{name}, {RERANKED}"] = after[name]
    if not found:
        raise ConfigError("no distances: give a matrix, or several by name")
    return found


def _state(
    distances: dict[str, Array], images: RetrievalSet, queries: Sequence[int] | None, places: int
) -> dict[str, Any]:
    """The traits of an explorer."""
    if not isinstance(images, RetrievalSet):
        raise ConfigError(
            f"{type(images).__name__} is no test of retrieval: give a RetrievalSet, with query and gallery"
        )
    places = min(places, len(images.gallery))
    ranked = [rank(name, matrix, images, places) for name, matrix in distances.items()]
    counts = [len(found) for found in ranked[0].places]
    chosen = _chosen(queries, counts)
    # A picture is stored once, whichever query or ranking shows it.
    seen = torch.cat([found.top[chosen].flatten() for found in ranked]).unique().long()
    size, pixels = None, b""
    if images.may_store_images:
        pixels, size = packing.pixels(torch.cat([images.query.images[chosen], images.gallery.images[seen]]))
    at = {image: place for place, image in enumerate(seen.tolist())}
    tops = [[[at[image] for image in row] for row in found.top[chosen].tolist()] for found in ranked]
    return {
        "about": {
            "rankings": list(distances),
            "queries": chosen,
            "places": places,
            "counts": counts,
            "query": _named(images.query.take(torch.tensor(chosen))),
            "gallery": _named(images.gallery.take(seen)),
            "pixels": size,
            "note": _note(len(chosen), images, size),
        },
        "top": np.array(tops, dtype="<i4").tobytes(),
        "nearness": _packed([found.distances[chosen] for found in ranked], "<f4"),
        "kinds": _packed([found.kinds[chosen] for found in ranked], "u1"),
        "hits": _packed([hit for found in ranked for hit in found.places], "<i4"),
        "pixels": pixels,
        "query": chosen[0],
        "place": places,
        "ranking": next(iter(distances)),
    }


def _chosen(queries: Sequence[int] | None, counts: list[int]) -> list[int]:
    """The queries that can be looked at: as asked, or some of those that have a match at all."""
    count = len(counts)
    if queries is None:
        valid = [query for query in range(count) if counts[query]] or list(range(count))
        return [valid[place] for place in packing.spread(len(valid), QUERIES)]
    chosen = list(dict.fromkeys(int(query) for query in queries))
    if not chosen or min(chosen) < 0 or max(chosen) >= count:
        raise ConfigError(f"queries must be numbers from 0 to {count - 1}, at least one, got {list(queries)}")
    return chosen


def _named(images: IdentitySet) -> dict[str, list[Any]]:
    return {
        "identities": images.identities.tolist(),
        "cameras": images.cameras.tolist(),
        "names": list(images.names),
    }


def _packed(parts: Sequence[Tensor], kind: str) -> bytes:
    return b"".join(part.contiguous().numpy().astype(kind).tobytes() for part in parts)


def _note(shown: int, images: RetrievalSet, size: list[int] | None) -> str:
    said = f"{shown} of {len(images.query)} queries can be looked at; means run over all that have a match."
    if size is None:
        said += " Names stand in place of pictures, which the terms of the data do not let be stored."
    elif size[:2] != list(images.query.images.shape[2:]):
        height, width = images.query.images.shape[2:]
        said += f" Pictures of {size[0]} by {size[1]} pixels, made smaller from {height} by {width}."
    return said
