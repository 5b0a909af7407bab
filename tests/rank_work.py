"""What the ranks of a test do. Loaded once, by the server that forks them; see `several`."""

import multiprocessing
import os
import secrets
import signal
import threading
import time
from pathlib import Path

import torch
import torch.distributed as dist
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from dml_teach import models, topology
from dml_teach.cohort import Cohort, Peer
from dml_teach.distributed import joined
from dml_teach.errors import DivergedError
from dml_teach.layout import Layout
from dml_teach.models.init import initialise
from dml_teach.models.wide_resnet import wide_resnet
from dml_teach.trainer import fit, resume
from tests.conftest import striped
from tests.resuming import RECIPE, Killed, begin

torch.optim.SGD([torch.zeros(1)])  # the first optimizer imports for a second

CPU = torch.device("cpu")
SETS = striped(90, seed=1), striped(45, seed=2)
CLASSES, RATE = 5, 0.02


def two_networks(kind):
    """Unequal ones, with batch norm."""
    built = [
        models.build(name, CLASSES, channels=1, generator=torch.Generator().manual_seed(seed))
        for seed, name in enumerate(("small", "resnet32"))
    ]
    return [network.to(kind) for network in built]


def batches(count, size, kind, hidden=False):
    generator = torch.Generator().manual_seed(5)
    for _ in range(count):
        labels = torch.randint(CLASSES, (size,), generator=generator)
        if hidden:
            labels[torch.rand(size, generator=generator) < 0.6] = -1
        yield torch.randn(size, 1, 12, 12, generator=generator, dtype=kind), labels


def sgd(network):
    return torch.optim.SGD(network.parameters(), lr=RATE, momentum=0.9)


def on_a_mesh(kind, steps, size, hidden):
    """20 steps on whatever ranks there are; the state of the peer here, or nothing for a second shard."""
    networks = two_networks(kind)
    with joined(networks, CPU) as mesh:
        peers = [Peer(network, sgd(network)) for network in networks]
        for k in mesh.here if mesh.along is not None else ():
            peers[k].spread(mesh.average)
        cohort = Cohort(peers, topology.mutual(2), here=mesh.here, exchange=mesh.exchange)
        for batch in batches(steps, size, kind, hidden):
            cohort.step(*mesh.split(*batch))
        mesh.agree(0)
        return {k: networks[k].state_dict() for k in mesh.here if mesh.shard == 0}


def count_of_gathers(steps):
    calls, original = [], dist.all_gather

    def counting(into, tensor, group=None, **options):
        calls.append((tuple(tensor.shape), tensor.requires_grad))
        return original(into, tensor, group=group, **options)

    dist.all_gather = counting
    on_a_mesh(torch.float32, steps, 8, False)
    return calls


def stray(width):
    with joined(["a", "b"], CPU) as mesh:
        z = torch.zeros(4, 5)
        logits: list = [None, None]
        features: list = [None, None]
        logits[mesh.row] = torch.zeros(4, 5 + mesh.row) if width is None else z
        features[mesh.row] = None if width is None else torch.zeros(4, width + mesh.row)
        mesh.exchange(logits, features)


def train(folder, settings):
    begin(Path(folder), settings.pop("sets", SETS), **settings)


def dropping(count):
    networks = [wide_resnet(10, 1, classes=3, channels=1, dropout=0.5) for _ in range(count)]
    for seed, network in enumerate(networks):
        initialise(network, torch.Generator().manual_seed(seed))
    return networks


def train_on(folder, settings):
    """On another device than the CPU."""
    peers, device, layout = settings.pop("peers"), settings.pop("device"), settings.pop("layout", None)
    recipe = RECIPE.with_(**settings)
    matrix = topology.by_name("mutual" if len(peers) > 1 else "independent", len(peers))
    fit(peers, matrix, *SETS, recipe, seed=0, out=folder, device=device, progress=False, layout=layout)


def train_sharded(folder, order):
    fit(
        ["small", "small"], topology.mutual(2), *SETS, RECIPE.with_(order=order), seed=0, out=folder, device="cpu",
        progress=False, layout=Layout(shards=2),
    )  # fmt: skip


def joining(layout):
    with joined(["a", "b"], CPU, layout):
        pass


def train_until(folder, number, settings):
    """Train, and end all ranks before their step of that number."""
    counted, original = [0], Cohort.step

    def step(self, *batch):
        counted[0] += 1
        if counted[0] == number:
            raise Killed
        return original(self, *batch)

    Cohort.step = step
    try:
        train(folder, settings)
    except Killed:
        return
    finally:
        Cohort.step = original


def go_on(folder):
    resume(folder, *SETS, progress=False, checkpoint_seconds=0.0)


def go_on_dropping(folder):
    resume(folder, *SETS, peers=dropping(1), progress=False, checkpoint_seconds=0.0)


def train_and_be_asked_to_stop(folder):
    """The second rank alone gets the signal."""
    original = Cohort.step

    def step(self, *batch):
        if os.environ["RANK"] == "1":
            signal.raise_signal(signal.SIGTERM)
        return original(self, *batch)

    Cohort.step = step
    train(folder, {})


def train_and(folder, misfortune, limit, device="cpu"):
    """Rank 1 meets with something before its third step."""
    counted, original = [0], Cohort.step

    def step(self, *batch):
        counted[0] += 1
        if os.environ["RANK"] == "1" and counted[0] == 3:
            MISFORTUNES[misfortune]()
        return original(self, *batch)

    Cohort.step = step
    fit(
        ["small"] * 3, topology.mutual(3), *SETS, RECIPE, seed=0, out=folder, device=device, progress=False,
        layout=Layout(limit=limit),
    )  # fmt: skip


def die():
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def diverge():
    raise DivergedError("the loss of peer 1 is no finite number")


def run_out_of_memory():
    raise RuntimeError("not enough memory")


MISFORTUNES = {"die": die, "hang": lambda: time.sleep(60), "diverge": diverge, "fail": run_out_of_memory}


# --- under torchrun's own agent ---

KILLS = RECIPE.with_(augment=True, epochs=4)


def be_killed(folder, victim, seconds):
    """A rank of a run of four; in the first attempt, the victim is killed so many seconds after its first step."""
    torch.set_num_threads(1)
    original = Cohort.step

    def step(self, *batch):
        Cohort.step = original
        if os.environ["RANK"] == str(victim) and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
            Path(folder).with_suffix(".hit").touch()
            threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL)).start()
        return original(self, *batch)

    Cohort.step = step
    fit(
        ["small", "small"], topology.mutual(2), *SETS, KILLS, seed=0, out=folder, device="cpu", progress=False,
        checkpoint_seconds=0.0, layout=Layout(limit=30),
    )  # fmt: skip


def be_agent(connection):
    """What `torchrun --standalone --nproc-per-node 4 --max-restarts 1` does, for one run after the other.

    Its ranks are forked from a server of their own: to fork this process, which has threads, could leave one hanging.
    """
    os.setsid()
    multiprocessing.set_forkserver_preload(["tests.rank_work"])
    while True:
        job = connection.recv()
        config = LaunchConfig(
            min_nodes=1, max_nodes=1, nproc_per_node=4, max_restarts=1, run_id=secrets.token_hex(8),
            rdzv_backend="c10d", rdzv_endpoint="127.0.0.1:0", start_method="forkserver",
        )  # fmt: skip
        try:
            elastic_launch(config, be_killed)(*job)
            connection.send("")
        except ChildFailedError as error:
            connection.send(str(error))
