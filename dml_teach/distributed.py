"""Peers on ranks: the step of `cohort`, where its peers live in several processes, on one machine or on many.

A *rank* is a process with a device of its own, started by torchrun. The ranks form a mesh, peers x shards:

                    shard 0    shard 1
    row 0, peer 0   rank 0     rank 1
    row 1, peer 1   rank 2     rank 3

Rank (k, d) trains peer k on shard d of each batch. Every rank draws the same batches with the same augmentation, from
the same seed, so no image is ever sent. In a step two things are:

- down a column, one all-gather of detached logits (rows, B / shards, C): all that peers know of each other. The paper
  remarks that mutual learning asks for no more;
- along a row, where a peer has several shards, the average of its gradients, by PyTorch's DistributedDataParallel.

With fewer ranks than peers a row holds several peers. Batch norm sees a shard at a time, and the first shard's running
statistics are the peer's; on GPUs `Layout.sync_batch_norm` makes it see the whole batch.

Ranks that wait for one that died or hangs give up after `Layout.limit` seconds and name it (`RankError`). Nothing that
crosses between ranks is unpickled.
"""

import atexit
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from dml_teach.cohort import Share
from dml_teach.errors import ConfigError
from dml_teach.files import packed, unpacked
from dml_teach.layout import Layout, arrange, place
from dml_teach.ranks import launched, told

KINDS = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
"""Number formats of logits, by which ranks tell each other theirs."""


@dataclass
class Mesh:
    """The ranks of a run as one of them sees them. `Mesh()` is a process by itself, which has all peers.

    Attributes:
        homes: each peer's row.
        shards: ranks in a row.
        rank: of this process.
        ranks: how many there are.
        device: of this rank.
        restarted: whether torchrun started the ranks anew after a failure.
        sync_batch_norm: see `Layout`.
        column, along: the groups of the ranks with the same shard, and with the same peers; None for one rank.
    """

    homes: Sequence[int] = ()
    shards: int = 1
    rank: int = 0
    ranks: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    restarted: bool = False
    sync_batch_norm: bool = False
    column: Any = None
    along: Any = None

    def __post_init__(self) -> None:
        self.row, self.shard = divmod(self.rank, self.shards)
        self.leader = self.rank == 0  # who writes the run folder
        self.here = [k for k, home in enumerate(self.homes) if home == self.row]
        self._form: tuple[int, torch.dtype] | None = None

    # --- in every step ---

    def split(self, images: Tensor, labels: Tensor, *clean: Tensor) -> tuple[Any, ...]:
        """This rank's shard of a batch, as `Cohort.step` takes it: images, labels, clean images, and its `Share`.

        Raises:
            ConfigError: there are fewer images than shards.
        """
        if self.shards == 1:
            return images, labels, *clean
        self.require(count := len(labels))
        part = slice(count * self.shard // self.shards, count * (self.shard + 1) // self.shards)
        known = (labels >= 0).double()
        labelled = torch.where(known.sum() > 0, self.shards * known[part].sum() / known.sum().clamp_min(1), 1.0)
        share = Share(labelled, self.shards * len(labels[part]) / count)
        return images[part], labels[part], clean[0][part] if clean else None, share

    def require(self, images: int) -> None:
        """Raise `ConfigError` if a batch of so many images leaves a shard with none."""
        if images < self.shards:
            raise ConfigError(
                f"a batch of {images} images can not be spread over {self.shards} shards; choose another batch_size or"
                " subset, or fewer shards"
            )

    def exchange(self, logits: list[Any], features: list[Any]) -> tuple[list[Any], list[Any]]:
        """The logits (B, C) and features (B, D) of all peers, for a `Cohort`: one all-gather down the column.

        What comes from elsewhere carries no gradient; what is from here stays as it is. Features are None where no
        peer is asked for them.

        Raises:
            ConfigError: the peers do not predict the same classes, or their features differ in width.
        """
        if self.column is None:
            return logits, features
        classes, kind = self._form = self._form or self._agree_on_form(logits, features)
        own = [torch.cat([z for z in (logits[k], features[k]) if z is not None], dim=1) for k in self.here]
        mine = torch.zeros(self._most(), *own[0].shape, dtype=kind, device=own[0].device)
        mine[: len(own)] = torch.stack(own).detach()
        found = mine.new_empty(self.ranks // self.shards, *mine.shape)
        dist.all_gather(list(found.unbind()), mine, group=self.column)
        for k, home in enumerate(self.homes):
            if home != self.row:
                z = found[home, self.homes[:k].count(home)]
                logits[k], features[k] = z[:, :classes], z[:, classes:] if z.shape[1] > classes else None
        return logits, features

    def of_shard(self, purpose: str) -> str:
        """The purpose of a stream of random numbers of which each shard needs its own."""
        return f"{purpose} of shard {self.shard}" if self.shard else purpose

    def prepared(self, network: nn.Module) -> nn.Module:
        """The network, with batch norm over the whole batch if so wanted; names and parameters stay."""
        if not self.sync_batch_norm:
            return network
        return nn.SyncBatchNorm.convert_sync_batchnorm(network, self.along)

    def average(self, module: nn.Module) -> nn.Module:
        """The module with its gradients averaged along the row; for `Peer.spread`."""
        return DistributedDataParallel(module, process_group=self.along)

    def _most(self) -> int:
        """Peers in the fullest row: an all-gather takes as much from every rank."""
        return max(map(self.homes.count, self.homes))

    def _agree_on_form(self, logits: list[Any], features: list[Any]) -> tuple[int, torch.dtype]:
        """How many classes all peers predict, and the number format that holds what all of them send."""
        mine = torch.full((self._most(), 3), -1, device=self.device)
        for slot, k in enumerate(self.here):
            width = 0 if features[k] is None else features[k].shape[1]
            mine[slot] = torch.tensor([logits[k].shape[1], width, KINDS.index(logits[k].dtype)])
        told = [torch.empty_like(mine) for _ in range(self.ranks // self.shards)]
        dist.all_gather(told, mine, group=self.column)
        classes, widths, kinds = (sorted({n for n in row if n >= 0}) for row in torch.cat(told).T.tolist())
        if len(classes) > 1:
            raise ConfigError(f"peers must predict the same classes, but their logits have {classes} numbers")
        if len(widths) > 1:
            raise ConfigError(
                f"features of {widths[0]} and {widths[-1]} numbers can not be compared; use equal networks"
            )
        kind = KINDS[kinds[0]]
        for other in kinds[1:]:
            kind = torch.promote_types(kind, KINDS[other])
        return classes[0], kind

    # --- now and then, on the CPU ---

    def agree(self, *values: int) -> list[int]:
        """The largest of what the ranks say, number by number; also where they wait for each other."""
        if self.ranks == 1:
            return list(values)
        told = torch.tensor(values, dtype=torch.int64)
        dist.all_reduce(told, op=dist.ReduceOp.MAX)
        return told.tolist()

    def total(self, values: Tensor) -> Tensor:
        """The sum over all ranks, on the device of `values`."""
        if self.ranks == 1:
            return values
        summed = values.cpu()
        dist.all_reduce(summed)
        return summed.to(values.device)

    def everywhere(self, found: list[Any]) -> list[tuple[Tensor, ...]]:
        """What was found of each peer, a tuple of CPU tensors, on all ranks: K of them, with None for those elsewhere.

        A row's first shard speaks for its peers.
        """
        if self.ranks == 1:
            return found
        everything: dict[str, Tensor] = {}
        for row in sorted(set(self.homes)):
            mine = {f"{k}.{slot}": t for k in self.here for slot, t in enumerate(found[k] or ())}
            everything |= _broadcast(mine, source=row * self.shards, rank=self.rank)
        names = [[name for name in everything if name.startswith(f"{k}.")] for k in range(len(self.homes))]
        return [tuple(everything[f"{k}.{slot}"] for slot in range(len(names[k]))) for k in range(len(self.homes))]

    def to_leader(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """The named tensors of all ranks, for the leader; the others get their own back."""
        if self.ranks == 1:
            return tensors
        if not self.leader:
            content = _pack(tensors)
            dist.send(torch.tensor([len(content)]), 0)
            dist.send(content, 0)
            return tensors
        everything = dict(tensors)
        for rank in range(1, self.ranks):
            length = torch.empty(1, dtype=torch.int64)
            dist.recv(length, rank)
            content = torch.empty(int(length), dtype=torch.uint8)
            dist.recv(content, rank)
            everything |= _unpack(content)
        return everything

    def leader_first(self, work: Callable[[], Any]) -> Any:
        """Do something on every rank, first on the leader."""
        done = work() if self.leader else None
        self.agree(0)
        return done if self.leader else work()


@contextmanager
def joined(peers: Sequence[Any], device: torch.device, layout: Layout | None = None) -> Iterator[Mesh]:
    """The mesh of this run's ranks, or a process by itself where nobody launched several.

    Args:
        peers: as `trainer.fit` takes them; an `Echo` lives with the peer that it echoes.
        device: of the run; of several GPUs, each rank of a machine takes one.
        layout: over the ranks; `Layout()` if None.

    Raises:
        ConfigError: the peers can not be laid out over so many ranks, or there are fewer GPUs than ranks.
        RankError: inside, another rank died, hangs or failed.
    """
    layout = layout or Layout()
    homes = place(peers, 1)
    if not launched():
        if (layout.shards or 1) > 1:
            raise ConfigError(f"{layout.shards} shards need as many ranks: start with torchrun --nproc-per-node N")
        yield Mesh(homes, device=device)
        return
    rank, ranks = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    rows, shards = arrange(len(set(place(peers, len(peers)))), ranks, layout.shards)
    if layout.sync_batch_norm and device.type != "cuda":
        raise ConfigError(f"sync_batch_norm works on GPUs alone, and the device is '{device}'; leave it out")
    device = _of_rank(device)
    store = _join(device, layout.limit)
    with told(store, rank, ranks, layout.limit):
        column, along = (
            _groups(ranks, which, layout.limit * (1 + (device.type == "cuda")))
            for which in (lambda r: r % shards, lambda r: r // shards)
        )
        yield Mesh(
            place(peers, rows), shards, rank, ranks, device, _restarts() > 0,
            layout.sync_batch_norm, column, along,
        )  # fmt: skip


def _of_rank(device: torch.device) -> torch.device:
    if device.type != "cuda":
        return device
    number, present = int(os.environ.get("LOCAL_RANK", 0)), torch.cuda.device_count()
    if device.index is not None and int(os.environ["WORLD_SIZE"]) > 1:
        raise ConfigError(f"device '{device}' is one GPU, and every rank needs its own; choose --device cuda")
    if number >= present:
        raise ConfigError(f"rank {number} of this machine has no GPU, there are {present}; start fewer ranks")
    torch.cuda.set_device(number)
    return torch.device("cuda", number)


_JOINED: list[dist.Store] = []


def _join(device: torch.device, limit: float) -> dist.Store:
    """Meet the other ranks, once in the life of a process, and return the store in which they leave word."""
    if not _JOINED:
        if dist.is_initialized():
            raise ConfigError("torch.distributed is in use already; let dml_teach join the ranks by itself")
        wait = timedelta(seconds=limit)
        meeting, rank, ranks = next(rendezvous("env://", timeout=wait))
        # Torchrun may keep its store when it starts the ranks anew: what an earlier attempt left there misleads.
        store = dist.PrefixStore(f"attempt {_restarts()}", meeting)
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=ranks, timeout=wait)
        atexit.register(leave)
        _JOINED.append(store)
    return _JOINED[0]


def _restarts() -> int:
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0))


def leave() -> None:
    """Part from the other ranks, before the process ends."""
    if _JOINED:
        _JOINED.clear()
        dist.destroy_process_group()


def _groups(ranks: int, which: Callable[[int], int], limit: float) -> Any:
    """This rank's group, of those that `which` divides the ranks into; None if each has a single rank."""
    found = None
    for number in sorted({which(rank) for rank in range(ranks)}):
        members = [rank for rank in range(ranks) if which(rank) == number]
        if len(members) > 1:
            group = dist.new_group(members, timeout=timedelta(seconds=limit))
            found = group if dist.get_rank() in members else found
    return found


def _pack(tensors: dict[str, Tensor]) -> Tensor:
    """Named tensors as bytes, (n,) uint8."""
    return torch.frombuffer(bytearray(packed(tensors)), dtype=torch.uint8)


def _unpack(content: Tensor) -> dict[str, Tensor]:
    return unpacked(content.numpy().tobytes())


def _broadcast(tensors: dict[str, Tensor], source: int, rank: int) -> dict[str, Tensor]:
    """What the rank `source` has of named tensors, on all ranks."""
    content = _pack(tensors) if rank == source else torch.empty(0, dtype=torch.uint8)
    length = torch.tensor([len(content)])
    dist.broadcast(length, source)
    if rank != source:
        content = torch.empty(int(length), dtype=torch.uint8)
    dist.broadcast(content, source)
    return _unpack(content)
