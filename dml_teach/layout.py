"""How peers are laid out over ranks: rows of a mesh, and shards; see `distributed`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dml_teach.errors import ConfigError
from dml_teach.peer import Echo

LIMIT = 600.0


@dataclass(frozen=True)
class Layout:
    """How a run is laid out over the ranks that torchrun has started.

    Attributes:
        shards: over how many ranks each peer's batches are spread; None for as many as there are ranks for each peer.
        limit: how many seconds a rank waits for another before it gives up; longer than anything that one rank does
            while others wait, such as the scores of a retrieval.
        sync_batch_norm: on GPUs, let batch norm see the whole batch, not a shard.
    """

    shards: int | None = None
    limit: float = LIMIT
    sync_batch_norm: bool = False

    def __post_init__(self) -> None:
        if self.shards is not None and self.shards < 1:
            raise ConfigError(f"shards must be at least 1, got {self.shards}")
        if not 0 < self.limit < float("inf"):
            raise ConfigError(f"limit must be a finite number of seconds above 0, got {self.limit}")


def arrange(peers: int, ranks: int, shards: int | None = None) -> tuple[int, int]:
    """Rows and shards of a mesh of `ranks` ranks for so many peers, an echo not counted.

    Raises:
        ConfigError: rows of equal length can not be made, or a row would have no peer.
    """
    if shards is None:
        shards = max(1, ranks // peers)
    if ranks % shards or ranks // shards > peers:
        raise ConfigError(
            f"{ranks} ranks can not be laid out for {peers} peer{'s'[: peers > 1]} with {shards}"
            f" shard{'s'[: shards > 1]} each; take up to {peers} ranks, or a multiple of {peers}"
        )
    return ranks // shards, shards


def place(peers: Sequence[Any], rows: int) -> list[int]:
    """Each peer's row: as many in each as can be, in order; an echo lives with the peer that it echoes."""
    alone = [k for k, peer in enumerate(peers) if not isinstance(peer, Echo)]
    homes = {k: number * rows // len(alone) for number, k in enumerate(alone)}
    return [homes.get(peer.of, 0) if isinstance(peer, Echo) else homes[k] for k, peer in enumerate(peers)]
