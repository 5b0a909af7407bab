"""What it costs two peers to live on two ranks, one thread each: ResNet-32, batches of 64 CIFAR-sized images.

    python benchmarks/ranks.py [--rounds 7] [--steps 3]

The first lines are ratios of times, the median over paired rounds with its spread (smallest to largest). In a round,
one after the other: one peer's independent step while the other rank sleeps; both ranks' steps side by side without
exchange; and with it, which is the mutual step. Of the ranks, the slower one counts. Processor time leaves out how
long a rank waited for its turn or for the other. What two busy cores take from each
other (heat, caches, memory) is in the first ratio; what the exchange adds is in the last.

Then the model of `dml_teach.cost` against collectives that are timed here: a link is fitted to all-gathers between two
ranks, and predicts those of other sizes, all-reduces, and four ranks; where ranks share a core they take turns, and
the model is multiplied by as much. Each line is measured / modelled.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

import torch
import torch.distributed as dist
from mutual_step import PRECISION, batch, networks, optimizers
from timing import Ratio, Step, parser, ratio, seconds_a_step
from torch import Tensor

from dml_teach import cost, topology
from dml_teach.cohort import Cohort
from dml_teach.devices import DTYPES
from dml_teach.distributed import Mesh, joined, leave
from dml_teach.peer import Peer
from dml_teach.ranks import launched, this

FITTED, ASKED = (1_000, 100_000, 1_000_000), (25_600, 400_000)  # bytes; the first asked is a batch of 64, 100 classes


def on_two(rounds: int, steps: int) -> None:
    """The ratios, printed by the first rank."""
    images, labels = batch()
    built = networks(2)
    with joined(built, torch.device("cpu")) as mesh:
        own = [Peer(*pair, precision=DTYPES[PRECISION]) for pair in zip(built, optimizers(built), strict=True)]
        mutual = Cohort(own, topology.mutual(2), here=mesh.here, exchange=mesh.exchange)
        alone = Cohort([own[mesh.rank]], topology.independent(1))
        times = [one_round(mesh, alone, mutual, images, labels, steps) for _ in range(rounds + 1)][1:]
    if mesh.leader:
        single, apart, together = zip(*times, strict=True)
        load = f"load of the machine {os.getloadavg()[0]:.1f}"
        print(f"precision {PRECISION}, channels_last, two ranks of one thread; {load}")
        show("two ranks without exchange / one peer alone", ratio(list(zip(apart, single, strict=True))))
        show("two ranks with exchange / one peer alone", ratio(list(zip(together, single, strict=True))))
        show("with exchange / without", ratio(list(zip(together, apart, strict=True))))
        worked = [tuple(each.processor for each in one) for one in (single, apart, together)]
        show("with exchange / one peer alone, processor time", ratio(list(zip(worked[2], worked[0], strict=True))))
        show("with exchange / without, processor time", ratio(list(zip(worked[2], worked[1], strict=True))))


class Taken(float):
    """Seconds a step by the clock, of the slower rank; `processor`: those in which it computed, whoever else did."""

    processor: float


def one_round(mesh: Mesh, alone: Cohort, mutual: Cohort, images: Tensor, labels: Tensor, steps: int) -> list[Taken]:
    """A step of one peer alone, of two side by side, and of two that exchange."""
    single = taken(mesh, lambda: alone.step(images, labels) if mesh.leader else None, steps)
    apart = taken(mesh, lambda: alone.step(images, labels), steps)
    return [single, apart, taken(mesh, lambda: mutual.step(images, labels), steps)]


def taken(mesh: Mesh, step: Step, steps: int) -> Taken:
    mesh.agree(0)  # begin together
    before = time.process_time()
    clock = seconds_a_step(step, steps)
    processor = (time.process_time() - before) / steps
    slowest = mesh.agree(int(1e9 * clock), int(1e9 * processor))
    found = Taken(slowest[0] / 1e9)
    found.processor = slowest[1] / 1e9
    return found


def collectives(rounds: int) -> dict[str, float]:
    """Median seconds of collectives between all ranks, by their name and bytes a rank."""
    found = {}
    for size in sorted({*FITTED, *ASKED}):
        own = torch.zeros(size // 4)
        everyone = list(own.new_empty(dist.get_world_size(), len(own)).unbind())
        ways: dict[str, Callable[[], object]] = {
            "all-gather": partial(dist.all_gather, everyone, own),
            "all-reduce": partial(dist.all_reduce, own),
        }
        for name, work in ways.items():
            taken = []
            for _ in range(20 + 20 * rounds):
                started = time.perf_counter()
                work()
                taken.append(time.perf_counter() - started)
            found[f"{name} {size}"] = statistics.median(taken[20:])
    return found


def against_the_model(rounds: int) -> None:
    """Measured over modelled, and on two ranks first the ratios' link."""
    with joined(["any"] * int(os.environ["WORLD_SIZE"]), torch.device("cpu")) as mesh:
        found = collectives(rounds)
    if not mesh.leader:
        return
    if mesh.ranks == 2:
        over = cost.fitted([(size, found[f"all-gather {size}"]) for size in FITTED])
        os.environ["LINK"] = f"{over.latency * 1e6}us,{over.bandwidth * 8e-9}gbit"
        print(f"link: {1e6 * over.latency:.0f} us, {over.bandwidth / 1e9:.2f} GB/s, fitted to all-gathers on two ranks")
    over = cost.link(os.environ["LINK"])
    for key, seconds in found.items():
        name, size = key.split()
        turns = max(1.0, mesh.ranks / (os.cpu_count() or 1))  # ranks that share a core take turns
        modelled = turns * (cost.all_gather if name == "all-gather" else cost.all_reduce)(mesh.ranks, int(size), over)
        fit = " (fitted)" if mesh.ranks == 2 and name == "all-gather" and int(size) in FITTED else ""
        print(f"{mesh.ranks} ranks, {name} of {int(size):,} bytes{fit}, measured / modelled: {seconds / modelled:.2f}")


def show(name: str, found: Ratio) -> None:
    print(f"{name}: {found}", flush=True)


def main() -> None:
    chosen = parser(__doc__, rounds=7, steps=3).parse_args()
    torch.set_num_threads(1)
    if launched():
        if int(os.environ["WORLD_SIZE"]) == 2:
            on_two(chosen.rounds, chosen.steps)
        against_the_model(chosen.rounds)
        if this() == 0:
            print("link for the next:", os.environ["LINK"])
        leave()
        return
    link = ""
    for ranks in (2, 4):
        command = [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            "--nproc-per-node",
            str(ranks),
            __file__,
        ]
        command += ["--rounds", str(chosen.rounds), "--steps", str(chosen.steps)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "LINK": link}
        printed = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
        shown, _, link = printed.strip().rpartition("\nlink for the next: ")
        print(shown, flush=True)


if __name__ == "__main__":
    main()
