"""Who takes part in a run: from the words of a command line to what `trainer.fit` takes."""

from collections.abc import Sequence

from torch import Tensor

from dml_teach import runs, topology
from dml_teach.description import Member
from dml_teach.errors import ConfigError
from dml_teach.models.network import Network
from dml_teach.peer import Echo
from dml_teach.trainer import trained_network


def gather(
    names: Sequence[str], shape: str | None, teachers: Sequence[str] = ()
) -> tuple[list[Member], Tensor, tuple[int, ...]]:
    """A cohort's members, its topology (K, K), and which members are frozen.

    Args:
        names: of the networks that learn.
        shape: the topology: a key of `topology.BY_NAME`, or "self", for peers that each learn from themselves; None is
            mutual, or independent for a single peer.
        teachers: RUN or RUN:PEER, finished runs whose networks teach, frozen; "one-way" alone takes them.

    Raises:
        ConfigError: the topology is not known, or does not go with the peers or with teachers.
        RunError: a teacher's run is no finished run, or has no such peer.
    """
    if teachers and shape != "one-way":
        raise ConfigError("--teacher goes with --topology one-way: in the others nobody has a fixed teacher")
    if shape == "self":
        return [*names, *map(Echo, range(len(names)))], topology.self_taught(len(names)), ()
    if teachers:
        found = [network for told in teachers for network in _trained(told)]
        frozen = tuple(range(len(names), len(names) + len(found)))
        return [*names, *found], topology.taught(len(names), len(found)), frozen
    if len(names) == 1 and shape not in (None, "independent"):
        raise ConfigError(f"topology '{shape}' needs at least two peers, got --peers {names[0]}")
    return [*names], topology.by_name(shape or ("mutual" if len(names) > 1 else "independent"), len(names)), ()


def _trained(told: str) -> list[Network]:
    """The trained networks of RUN, or of RUN:PEER."""
    folder, _, peer = told.rpartition(":")
    alone = bool(folder) and peer.isdecimal()
    run = runs.load(folder if alone else told)
    return [trained_network(run, k) for k in ([int(peer)] if alone else run.learning)]
