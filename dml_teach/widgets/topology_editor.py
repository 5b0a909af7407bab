"""The topology editor: who learns from whom, to be clicked together."""

from collections.abc import Sequence
from typing import Any

import anywidget
import numpy as np
import torch
import traitlets
from torch import Tensor

from dml_teach import topology
from dml_teach.errors import ConfigError, DmlTeachError
from dml_teach.widgets import code

MOST_PEERS = 12
FILES = ("numbers", "topology_numbers", "page", "topology")


@code.explained
class TopologyEditor(anywidget.AnyWidget):
    """A cohort as a graph and as its matrix W: click who learns from whom, and read which setting it is.

    Peers are circles with an arrow from teacher to learner. An arrow that is added or taken away leaves the learner's
    other weights in their proportions, and its row sums to 1 again, or to 0 when nobody is left.

    A matrix that is no topology gives a message in place of the widget.

    Args:
        matrix: W (K, K), as `topology` makes it, at most `MOST_PEERS` peers.

    Attributes:
        weights: W as bytes, float64; `matrix` reads it.
        message: why there is nothing to show, or empty.
    """

    _esm = code.module(*FILES)
    _css = code.style()
    peers = traitlets.Int(0).tag(sync=True)
    # What comes back from a page is a view of memory, not bytes.
    weights = traitlets.Bytes().tag(sync=True, from_json=lambda value, _: bytes(value))
    message = traitlets.Unicode().tag(sync=True)

    def __init__(self, matrix: Tensor | Sequence[Sequence[float]]) -> None:
        try:
            state = _state(matrix)
        except DmlTeachError as error:
            state = {"message": str(error)}
        super().__init__(**state)

    def __repr__(self) -> str:
        if self.message:
            return f"TopologyEditor: nothing to show. {self.message}"
        return f"TopologyEditor: {self.peers} peers."

    @property
    def matrix(self) -> Tensor:
        """W (K, K) float64 as it stands, for `fit` and the losses.

        Raises:
            ConfigError: the editor shows a message, so there is no matrix.
        """
        if self.message:
            raise ConfigError(f"the editor has no matrix: {self.message}")
        rows = np.frombuffer(self.weights, dtype="<f8").reshape(self.peers, self.peers)
        return topology.validate(torch.tensor(rows.astype(float)), self.peers)


def _state(matrix: Any) -> dict[str, Any]:
    checked = topology.validate(matrix)
    if len(checked) > MOST_PEERS:
        raise ConfigError(f"{len(checked)} peers do not fit on a circle; an editor shows at most {MOST_PEERS}")
    return {"peers": len(checked), "weights": checked.contiguous().numpy().astype("<f8").tobytes()}
