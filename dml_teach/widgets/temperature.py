"""The temperature explorer: what T does to a posterior, and how far it stands from another one."""

from collections.abc import Sequence
from typing import Any

import anywidget
import numpy as np
import torch
import traitlets
from torch import Tensor

from dml_teach.errors import ConfigError, DmlTeachError
from dml_teach.widgets import code

COLDEST, HOTTEST = 1 / 16, 16.0
FILES = ("numbers", "page", "chart", "temperature")


@code.explained
class TemperatureExplorer(anywidget.AnyWidget):
    """Logits become a posterior as the temperature moves, and two posteriors come nearer to each other.

    For one image it shows the logits, the posterior p = softmax(z / T) and its entropy; beside a second posterior q
    also the divergence in both directions and the pull p - q on each logit. Curves show the same over all temperatures.

    Logits that can not be shown give a message in place of the widget.

    Args:
        logits: (C,) of one image, finite.
        reference_logits: (C,) of a peer or teacher on the same image, or None.
        class_names: C of them; by default the classes are numbered.
        names: what to call the owners of p and q.
        temperature: T to begin with, between `COLDEST` and `HOTTEST`.

    Attributes:
        temperature: T that is shown.
        message: why there is nothing to show, or empty.
    """

    _esm = code.module(*FILES)
    _css = code.style()
    about = traitlets.Dict().tag(sync=True)
    logits = traitlets.Bytes().tag(sync=True)
    reference_logits = traitlets.Bytes().tag(sync=True)
    message = traitlets.Unicode().tag(sync=True)
    temperature = traitlets.Float(1.0, min=COLDEST, max=HOTTEST).tag(sync=True)

    def __init__(
        self,
        logits: Tensor | Sequence[float],
        reference_logits: Tensor | Sequence[float] | None = None,
        class_names: Sequence[str] | None = None,
        *,
        names: tuple[str, str] = ("p", "q"),
        temperature: float = 1.0,
    ) -> None:
        try:
            state = _state(logits, reference_logits, class_names, names)
        except DmlTeachError as error:
            state = {"message": str(error)}
        super().__init__(**state, temperature=temperature)

    def __repr__(self) -> str:
        if self.message:
            return f"TemperatureExplorer: nothing to show. {self.message}"
        return f"TemperatureExplorer: {len(self.about['class_names'])} classes, {' and '.join(self.about['names'])}."


def _state(logits: Any, reference: Any, class_names: Sequence[str] | None, names: tuple[str, str]) -> dict[str, Any]:
    own = _vector("logits", logits)
    both = [own] if reference is None else [own, _vector("reference_logits", reference)]
    if len(both[-1]) != len(own):
        raise ConfigError(f"logits have {len(own)} classes, reference_logits {len(both[1])}: give two of one image")
    class_names = [f"class {c}" for c in range(len(own))] if class_names is None else list(class_names)
    if len(class_names) != len(own):
        raise ConfigError(f"{len(class_names)} class names for {len(own)} logits; give a name for each")
    packed = [vector.astype("<f8").tobytes() for vector in both]
    return {
        "about": {"class_names": class_names, "names": list(names[: len(both)]), "range": [COLDEST, HOTTEST]},
        "logits": packed[0],
        "reference_logits": packed[1] if reference is not None else b"",
    }


def _vector(name: str, values: Any) -> np.ndarray:
    try:
        vector = torch.as_tensor(values).detach().to("cpu", torch.float64).numpy()
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConfigError(f"{name} are no numbers: {error}") from error
    if vector.ndim != 1 or len(vector) < 2 or not np.isfinite(vector).all():
        raise ConfigError(f"{name} must be (C,) finite numbers of one image, at least two, got shape {vector.shape}")
    return vector
