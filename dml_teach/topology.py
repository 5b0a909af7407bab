"""Who learns from whom: the topology of a cohort, a matrix W of shape (K, K).

Row k says from which mixture of its peers peer k learns: W[k, l] is the weight of peer l's posterior. A row sums to 1,
or to 0 for a peer that learns from labels alone. Independent networks, distillation and mutual learning are three such
matrices and one trainer.

Matrices are float64, so that 1 / (K - 1) is as exact as the posteriors that it weighs.
"""

import difflib
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from dml_teach.errors import ConfigError


def independent(peers: int) -> Tensor:
    """Nobody listens: every row is 0."""
    return torch.zeros(_count(peers), peers, dtype=torch.float64)


def mutual(peers: int) -> Tensor:
    """Everybody learns from all others alike, as in the paper: (1 - I) / (K - 1); a single peer learns alone."""
    others = 1 - torch.eye(_count(peers), dtype=torch.float64)
    return others / max(peers - 1, 1)


def one_way(peers: int, teacher: int = 0) -> Tensor:
    """Distillation: every other peer learns from `teacher`, who learns from nobody."""
    if not 0 <= teacher < _count(peers):
        raise ConfigError(f"teacher must be one of the peers 0 to {peers - 1}, got {teacher}")
    matrix = torch.zeros(peers, peers, dtype=torch.float64)
    matrix[:, teacher] = 1
    matrix[teacher] = 0
    return matrix


def taught(students: int, teachers: int) -> Tensor:
    """Every student learns from all teachers alike, an ensemble: W (S + T, S + T), the students first."""
    matrix = torch.zeros(_count(students) + _count(teachers), students + teachers, dtype=torch.float64)
    matrix[:students, students:] = 1 / teachers
    return matrix


def self_taught(peers: int) -> Tensor:
    """Self-distillation: peer k learns from peer K + k, which is itself seen otherwise: W (2K, 2K)."""
    return torch.eye(2 * _count(peers), dtype=torch.float64).roll(peers, dims=1).triu()


def ring(peers: int) -> Tensor:
    """Peer k learns from peer k - 1, and peer 0 from the last; a single peer learns alone."""
    if _count(peers) == 1:
        return independent(1)
    return torch.eye(peers, dtype=torch.float64).roll(-1, dims=1)


BY_NAME: dict[str, Callable[[int], Tensor]] = {
    "mutual": mutual,
    "independent": independent,
    "one-way": one_way,
    "ring": ring,
}


def by_name(name: str, peers: int) -> Tensor:
    """The topology of that name for K peers, (K, K)."""
    if name not in BY_NAME:
        nearest = difflib.get_close_matches(name, BY_NAME, n=1)
        hint = f"; did you mean '{nearest[0]}'?" if nearest else ""
        raise ConfigError(f"topology '{name}' is not known: choose one of {', '.join(BY_NAME)}{hint}")
    return BY_NAME[name](peers)


def validate(matrix: Tensor | Sequence[Sequence[float]], peers: int | None = None) -> Tensor:
    """Check a topology and return it as a float64 tensor (K, K).

    Args:
        matrix: W, anything that `torch.as_tensor` reads.
        peers: K, if the matrix must fit a given cohort.

    Raises:
        ConfigError: it is not square, does not fit, has a negative or non-finite entry, or a row that sums to neither 0
        nor 1.
    """
    try:
        matrix = torch.as_tensor(matrix, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConfigError(f"topology is not a matrix of numbers: {error}") from error
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not len(matrix):
        raise ConfigError(f"topology must be a square matrix (K, K), got shape {tuple(matrix.shape)}")
    if peers is not None and len(matrix) != peers:
        raise ConfigError(f"topology is for {len(matrix)} peers, but the cohort has {peers}")
    if not matrix.isfinite().all() or (matrix < 0).any():
        raise ConfigError("topology has a negative or non-finite entry; weights lie between 0 and 1")
    for k, total in enumerate(matrix.sum(dim=1).tolist()):
        if min(abs(total), abs(total - 1)) > 1e-6:
            raise ConfigError(
                f"topology row {k} sums to {total:.6g}; a row must sum to 1, or to 0 to learn from labels alone"
            )
    return matrix


def draw_partners(matrix: Tensor, generator: torch.Generator) -> Tensor:
    """For each peer one of its teachers, drawn with the weights of its row: W (K, K) -> (K, K), a single 1 in each row.

    The mean over many draws is W itself. A row of zeros stays. `generator` is a CPU generator.
    """
    drawn = torch.zeros_like(matrix)
    listening = matrix.sum(dim=1).nonzero().flatten()
    drawn[listening, torch.multinomial(matrix[listening], 1, generator=generator).flatten()] = 1
    return drawn


def _count(peers: int) -> int:
    if isinstance(peers, bool) or not isinstance(peers, int) or peers < 1:
        raise ConfigError(f"number of peers must be an integer of at least 1, got {peers!r}")
    return peers
