"""The agreement explorer: watch the peers of a run come to agree."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import anywidget
import traitlets
from torch import Tensor

from dml_teach import runs
from dml_teach.analysis import agreement
from dml_teach.analysis.posteriors import logits_of
from dml_teach.errors import DmlTeachError, RunError
from dml_teach.runs import Run
from dml_teach.widgets import code, packing

FILES = ("numbers", "cohort_numbers", "page", "pictures", "chart", "gallery", "opinions", "agreement")
HASH_LETTERS = 8


@code.explained
class AgreementExplorer(anywidget.AnyWidget):
    """How the peers of a run come to agree, epoch by epoch and image by image; a second run may stand beside it.

    It shows curves of agreement, mean pairwise KL and entropy; the probe images in an order of choice (how much the
    peers disagree, class, who is right); of the chosen image the posterior of every peer, their mean, entropies
    and pairwise KL; and a matrix (K, K) of agreement, KL or the rate of both being wrong. Averages run over the peers
    that learn. Definitions are those of `metrics` and `analysis.agreement`.

    A folder that holds no run, a run without an epoch, or two runs that were not shown the same images, give a message
    in place of the widget: `message` says what is wrong.

    Args:
        run: a run folder's path, or what `runs.load` returns.
        beside: a second one on the same probe images, or None; its epochs follow the first one's.
        names: what to call the two; by default as their folders are called.

    Attributes:
        epoch: the epoch that is shown, from 1. One that is not stored moves to the nearest that is.
        image: the probe image that is shown, its place in `run.probe`.
        peer: the peer that is marked.
        message: why there is nothing to show, or empty.
    """

    _esm = code.module(*FILES)
    _css = code.style()
    about = traitlets.Dict().tag(sync=True)
    posteriors = traitlets.Bytes().tag(sync=True)
    beside = traitlets.Bytes().tag(sync=True)
    pixels = traitlets.Bytes().tag(sync=True)
    message = traitlets.Unicode().tag(sync=True)
    epoch = traitlets.Int(0).tag(sync=True)
    image = traitlets.Int(0).tag(sync=True)
    peer = traitlets.Int(0).tag(sync=True)

    def __init__(
        self, run: Run | Path | str, beside: Run | Path | str | None = None, *, names: Sequence[str] | None = None
    ) -> None:
        try:
            state = _state([run] if beside is None else [run, beside], names)
        except DmlTeachError as error:
            state = {"message": str(error)}
        super().__init__(**state)

    def __repr__(self) -> str:
        if self.message:
            return f"AgreementExplorer: nothing to show. {self.message}"
        names = " and ".join(f"{one['name']}, {one['shape'][1]} peers" for one in self.about["runs"])
        return f"AgreementExplorer: {names}, {len(self.about['labels'])} images."

    @traitlets.validate("epoch")
    def _stored_epoch(self, proposal: Any) -> int:
        return _nearest("epoch", proposal["value"], sorted({e for one in self._runs() for e in one["epochs"]}))

    @traitlets.validate("image")
    def _stored_image(self, proposal: Any) -> int:
        return _nearest("image", proposal["value"], self.about.get("numbers", []))

    @traitlets.validate("peer")
    def _known_peer(self, proposal: Any) -> int:
        return _nearest(
            "peer", proposal["value"], list(range(max([one["shape"][1] for one in self._runs()], default=0)))
        )

    def _runs(self) -> list[dict[str, Any]]:
        return self.about.get("runs", [])


def _nearest(name: str, value: int, stored: list[int]) -> int:
    """The stored number nearest to a value; a message that is shown in place of a widget has none, so all will do."""
    if not stored:
        return value
    if not stored[0] <= value <= stored[-1]:
        raise traitlets.TraitError(f"{name} must lie between {stored[0]} and {stored[-1]}, got {value}")
    return min(stored, key=lambda number: abs(number - value))


class Opinions(NamedTuple):
    """What is shown of a run.

    Attributes:
        run: as loaded.
        posteriors: (E, K, N, C) of the epochs that were written down whole.
        epochs: their numbers, E of them.
    """

    run: Run
    posteriors: Tensor
    epochs: list[int]


def _state(sources: Sequence[Run | Path | str], names: Sequence[str] | None) -> dict[str, Any]:
    """The traits of an explorer of one run or two."""
    read = [_read(source) for source in sources]
    first = read[0].run
    if any(other.run.probe.hashes != first.probe.hashes for other in read[1:]):
        raise RunError(
            f"{read[1].run.folder} was not shown the same probe images as {first.folder}: compare runs that were"
        )
    if any(other.run.class_names != first.class_names for other in read[1:]):
        raise RunError(f"{read[1].run.folder} does not have the classes of {first.folder}: compare runs that have")
    names = _names(read, names)
    kept = packing.thin([tuple(one.posteriors.shape) for one in read])  # type: ignore[misc]
    parts = [one.posteriors[epochs][:, :, kept.images] for one, epochs in zip(read, kept.epochs, strict=True)]
    images = first.probe.images
    pixels, size = packing.pixels(images[kept.images]) if images is not None else (b"", None)
    about: dict[str, Any] = {
        "kind": "f2" if kept.half else "f4",
        "runs": [
            {
                "name": name,
                "shape": list(part.shape),
                "epochs": [one.epochs[epoch] for epoch in epochs],
                "learning": one.run.learning,
            }
            for name, one, part, epochs in zip(names, read, parts, kept.epochs, strict=True)
        ],
        "class_names": list(first.class_names),
        "labels": first.probe.labels[kept.images].tolist(),
        "numbers": kept.images,
        "hashes": [first.probe.hashes[image][:HASH_LETTERS] for image in kept.images],
        "pixels": size,
        "note": _note(read, kept, images, size),
    }
    packed = [packing.pack(part, kept.half) for part in parts]
    return {
        "about": about,
        "posteriors": packed[0],
        "beside": packed[1] if len(packed) > 1 else b"",
        "pixels": pixels,
        "epoch": max(epoch for one in about["runs"] for epoch in one["epochs"]),
        "image": kept.images[_most_disputed(read[0], kept.images)],
    }


def _read(source: Run | Path | str) -> Opinions:
    """A run that can be shown.

    Raises:
        RunError: it can not; the message says why.
    """
    if not isinstance(source, Run | Path | str):
        raise RunError(f"{type(source).__name__} is no run: give a run folder, or what runs.load returns")
    run = source if isinstance(source, Run) else runs.load(source)
    if not run.epochs:
        raise RunError(f"{run.folder} holds no finished epoch: train or resume it first")
    try:
        learning, classes, probe = run.learning, len(run.class_names), run.probe
        numbers = [int(record["epoch"]) for record in run.epochs]
        peers = len(run.peers)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(f"{run.folder}: config.json, metrics.jsonl or probe.safetensors lacks {error}") from error
    posteriors, count = _posteriors(run), len(probe.labels)
    if posteriors.ndim != 4 or posteriors.shape[1:] != (peers, count, classes) or not len(posteriors):
        raise RunError(
            f"{run.folder / 'posteriors.safetensors'} has shape {tuple(posteriors.shape)}, not epochs by {peers} peers"
            f" by {count} images by {classes} classes; it belongs to another run"
        )
    if not learning or not count or len(probe.hashes) != count:
        raise RunError(f"{run.folder} has no learning peer, or no whole probe set; there is nothing to compare")
    # A run that was killed between the two files may have written one epoch more to one of them.
    length = min(len(posteriors), len(numbers))
    return Opinions(run, posteriors[:length], numbers[:length])


def _posteriors(run: Run) -> Tensor:
    try:
        posteriors = run.posteriors
    except KeyError as error:
        raise RunError(f"{run.folder / 'posteriors.safetensors'} holds no posteriors; train the run anew") from error
    for number, epoch in enumerate(posteriors, start=1):
        if not epoch.isfinite().all() or (epoch < 0).any():
            raise RunError(f"{run.folder}: the posteriors of epoch {number} are no probabilities; the run has diverged")
    return posteriors


def _most_disputed(one: Opinions, images: list[int]) -> int:
    """Where among `images` the one is that the peers argue about most at the end: a good one to begin with."""
    last = one.posteriors[-1, one.run.learning][:, images]
    return int(agreement.disagreement(logits_of(last.double())).argmax())


def _names(read: Sequence[Opinions], names: Sequence[str] | None) -> list[str]:
    """What the runs are called: as asked, or by their folders, told apart where these have one name."""
    if names is not None and len(names) != len(read):
        raise RunError(f"{len(names)} names for {len(read)} runs; give a name for each")
    found = list(names or (one.run.folder.resolve().name for one in read))
    return (
        found if len(set(found)) == len(found) else [f"{name} ({place})" for place, name in enumerate(found, start=1)]
    )


def _note(read: Sequence[Opinions], kept: packing.Thinning, images: Tensor | None, size: list[int] | None) -> str:
    """What is stored of the runs and what is not, in words."""
    said = []
    for one, epochs in zip(read, kept.epochs, strict=True):
        if len(epochs) < len(one.epochs):
            said.append(f"{len(epochs)} of {len(one.epochs)} epochs")
    count = len(read[0].run.probe.labels)
    if len(kept.images) < count:
        said.append(f"{len(kept.images)} of {count} images")
    if kept.half:
        said.append("probabilities in half precision")
    if images is None:
        said.append("names in place of pictures, which the terms of the data do not let be stored")
    elif size is not None and size[:2] != list(images.shape[2:]):
        said.append(
            f"pictures of {size[0]} by {size[1]} pixels, made smaller from {images.shape[2]} by {images.shape[3]}"
        )
    doubt = math.log(len(read[0].run.class_names))
    limits = f"Entropy is at most {doubt:.2f} nats; averages run over the peers that learn."
    return f"{'Shown: ' + ', '.join(said) + '. ' if said else ''}{limits}"
