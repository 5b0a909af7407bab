"""Scores and re-ranking at the size of Market-1501, against what others use: 3 368 queries, 15 913 images, this CPU.

    OMP_NUM_THREADS=1 python benchmarks/reid.py [--parts ranking features reranking] [--peers FOLDER] [--rounds 5]

Each line is the CPU time of one thing over that of another, timed in turns: the median over the rounds with its spread
(smallest to largest), the same in wall time, the seconds of both, and the memory that each takes beyond its arguments.

    ranking     from a matrix of distances to all scores. torchreid's Cython and the package `reid` sort every row, and
                that is part of their time as it is of ours not to. With trained features few images stand before the
                last good one; without training nearly all do, which is our worst case
    features    from features to all scores (ours) against one matrix product alone, the least that a score can cost
    reranking   from features to re-ranked distances, against the published algorithm in NumPy as torchreid ships it; it
                takes minutes and about 9 GB. Its largest difference from ours is told

Peers are taken from where they are installed, or from a FOLDER that holds the packages: `torchreid` with its Cython
extension built (its folder metrics/rank_cylib tells how), `reid` as it is. Nothing else of them is imported. Without
them ours is still measured against the matrix product.
"""

import argparse
import time
from functools import partial

import numpy as np
import torch
from reid_peers import (
    GALLERY,
    QUERIES,
    TRAINED,
    UNTRAINED,
    market,
    package_ranking,
    package_scores,
    peak_megabytes,
    published_reranking,
    reid_package,
    torchreid_ranking,
)
from timing import Step, parser, ratio

from dml_teach import reid

PARTS = ("ranking", "features", "reranking")
KINDS = {"trained": TRAINED, "untrained": UNTRAINED}


def seconds(step: Step) -> tuple[float, float]:
    """CPU time and wall time of one step."""
    cpu, wall = time.process_time(), time.perf_counter()
    step()
    return time.process_time() - cpu, time.perf_counter() - wall


def compare(name: str, one: Step, other: Step, rounds: int, warm: int = 1) -> None:
    """Time both in turns and print the line; rounds to warm up come before."""
    times = [(seconds(one), seconds(other)) for _ in range(rounds + warm)][warm:]
    cpu, wall = (ratio([(a[clock], b[clock]) for a, b in times]) for clock in (0, 1))
    memory = " and ".join(megabytes(step) for step in (one, other))
    print(f"{name}: {cpu}; wall {wall}; {cpu.seconds[0]:.3f} s and {cpu.seconds[1]:.3f} s; {memory}", flush=True)


def megabytes(step: Step) -> str:
    peak = peak_megabytes(step)
    return "unknown" if peak is None else f"{peak:.0f} MB"


def ranking(arguments: argparse.Namespace) -> None:
    peers = {
        "torchreid's Cython": torchreid_ranking(arguments.peers),
        "the package reid": package_ranking(reid_package(arguments.peers)),
    }
    for kind, noise in KINDS.items():
        data = market(arguments.queries, arguments.images, 512, noise)
        distances = data.distances()
        ours = reid.evaluate_distances(distances, *data.labels).mAP
        print(f"# {kind} features: mAP {ours:.4f}")
        for name, peer in peers.items():
            if peer is None:
                print(f"# {name} is not installed")
                continue
            theirs = peer(distances, data.labels)
            assert abs(theirs - ours) < 1e-4, f"{name} finds mAP {theirs}, ours is {ours}"
            compare(
                f"ranking, {kind} features, {name} / ours",
                partial(peer, distances, data.labels),
                partial(reid.evaluate_distances, distances, *data.labels),
                arguments.rounds,
            )


def features(arguments: argparse.Namespace) -> None:
    package = reid_package(arguments.peers)
    for dimensions in arguments.dimensions:
        for kind, noise in KINDS.items():
            data = market(arguments.queries, arguments.images, dimensions, noise)
            ours = partial(reid.evaluate, data.query, data.gallery, *data.labels)
            alone = partial(torch.matmul, torch.from_numpy(data.query), torch.from_numpy(data.gallery).T)
            name = f"features to scores, {kind}, {dimensions} dimensions"
            compare(f"{name}, ours / matrix product", ours, alone, arguments.rounds)
            if package:
                compare(f"{name}, the package reid / ours", partial(package_scores, package, data), ours, 1)


def reranking(arguments: argparse.Namespace) -> None:
    published = published_reranking(arguments.peers)
    data = market(arguments.queries, arguments.images, 512, TRAINED)
    found: dict[str, np.ndarray] = {}

    def ours() -> None:
        found["ours"] = reid.rerank(data.query, data.gallery)

    if published is None:
        print("# torchreid is not installed")
        gallery = torch.from_numpy(data.gallery)
        compare("re-ranking, ours / matrix product of the gallery with itself", ours, lambda: gallery @ gallery.T, 1)
        return

    def theirs() -> None:
        found["theirs"] = published(data)

    compare("re-ranking, published / ours", theirs, ours, 1, warm=0)
    difference = np.abs(found["theirs"] - found["ours"])
    print(f"# largest difference {difference.max():.1e}; {(difference > 1e-5).mean():.1e} of them above 1e-5")


def main() -> None:
    made = parser(__doc__, rounds=5, steps=1)
    made.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure (default: all)")
    made.add_argument("--peers", nargs="+", default=[], metavar="FOLDER", help="folders with the packages of others")
    made.add_argument("--queries", type=int, default=QUERIES)
    made.add_argument("--images", type=int, default=GALLERY)
    made.add_argument("--dimensions", type=int, nargs="+", default=[512, 2048])
    arguments = made.parse_args()
    torch.set_num_threads(1)
    for part in arguments.parts:
        {"ranking": ranking, "features": features, "reranking": reranking}[part](arguments)


if __name__ == "__main__":
    main()
