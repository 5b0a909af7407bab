"""config.json of a run: everything that is needed to run it again, and where it ran."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dml_teach import provenance
from dml_teach.cohort import Cohort
from dml_teach.data.images import ImageSet
from dml_teach.data.retrieval import RetrievalSet, TestSet
from dml_teach.peer import Echo
from dml_teach.recipes import Recipe

Member = str | nn.Module | Echo
"""What a cohort is made of: a network to be built by name, a network, or a peer as its own teacher."""


def describe(
    peers: Sequence[Member],
    cohort: Cohort,
    recipe: Recipe,
    seed: int,
    training: ImageSet,
    held_out: ImageSet,
    test: TestSet,
    execution: Mapping[str, Any],
) -> dict[str, Any]:
    """config.json of a run, from what `trainer.fit` was given and made of it."""
    return {
        "recipe": vars(recipe),
        "peers": [
            {
                **_origin(peers, network),
                "parameters": sum(p.numel() for p in peer.network.parameters()),
                "frozen": peer.frozen,
            }
            for network, peer in zip(peers, cohort.peers, strict=True)
        ],
        "topology": cohort.topology.tolist(),
        "seed": seed,
        "data": describe_data(training, held_out, test),
        **execution,
        "provenance": provenance.collect(torch.device(execution["device"])),
    }


def _origin(peers: Sequence[Member], network: Member) -> dict[str, Any]:
    """How `models.build` makes such a network; of one that it did not make, the class; of an echo, whose it is."""
    if isinstance(network, Echo):
        return {**_origin(peers, peers[network.of]), "echo": network.of}
    made = {"network": network if isinstance(network, str) else type(network).__name__, "options": {}}
    return getattr(network, "origin", None) or made


def describe_data(training: ImageSet, held_out: ImageSet, test: TestSet) -> dict[str, Any]:
    """The data of a run, and a SHA-256 over all their images and labels in order; of a test of retrieval, with the
    numbers of its parts."""
    parts: list[tuple[Tensor, ...]] = [(part.images, part.labels) for part in (training, held_out)]
    counts = {}
    if isinstance(test, RetrievalSet):
        parts += [(part.images, part.identities, part.cameras) for part in (test.query, test.gallery)]
        counts = {"query_images": len(test.query), "gallery_images": len(test.gallery)}
    else:
        parts.append((test.images, test.labels))
    found = hashlib.sha256()
    for tensor in (tensor for part in parts for tensor in part):
        found.update(tensor.contiguous().cpu().numpy().tobytes())
    return {
        "name": training.name,
        "class_names": list(training.class_names),
        "channels": training.channels,
        "training_images": len(training),
        "probe_images": len(held_out),
        "test_images": len(test),
        **counts,
        "sha256": found.hexdigest(),
    }


def without_format(config: dict[str, Any]) -> dict[str, Any]:
    """config.json as `describe` made it: without the mark of its format."""
    return {name: value for name, value in config.items() if name != "format"}
