"""Training a cohort from a recipe, and writing down what happened.

`fit` builds the peers, feeds every one of them the same batches, compares them on the probe set after each epoch, reads
the test set once, at the end, and leaves a run folder (see `runs`). What the peers do to each other in a step is
`cohort.Cohort.step`.
"""

import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from dml_teach import metrics, models, provenance, runs, seeds
from dml_teach.cohort import Cohort, Peer
from dml_teach.data.batches import Batches, evaluation_batches
from dml_teach.data.images import ImageSet, content_hashes, split
from dml_teach.devices import choose, peers_side_by_side
from dml_teach.errors import ConfigError, RunError
from dml_teach.recipes import Recipe, learning_rate
from dml_teach.runs import Run

EVALUATION_BATCH = 500


def fit(
    peers: Sequence[str | nn.Module],
    matrix: Tensor | Sequence[Sequence[float]],
    train: ImageSet,
    test: ImageSet,
    recipe: Recipe,
    *,
    seed: int,
    out: Path | str,
    subset: int | None = None,
    frozen: Collection[int] = (),
    device: str = "auto",
    parallel: bool = True,
    progress: bool = True,
) -> Run:
    """Train a cohort and return its run.

    Args:
        peers: a name from `models.NAMES` for each network to be built, or a network; K of them.
        matrix: the topology W (K, K), who learns from whom.
        train: the training images; recipe.probe_images of them are held out.
        test: the test images, read once, after the last epoch.
        recipe: all hyper-parameters.
        seed: fixes weights, order and augmentation. The j-th *learning* peer starts from the same weights in every run
            with this seed.
        out: the run's folder, new or empty.
        subset: train on this many images, drawn by content; None for all that are not held out.
        frozen: which peers are static teachers; they must be given as networks, since an untrained teacher knows
            nothing.
        device: "auto", "cpu", "cuda", "cuda:1", "mps".
        parallel: on a CPU, run the peers side by side, each in a thread of its own; the result is the same bit for bit.
        progress: show a bar, a tick per step.

    Raises:
        ConfigError: a name, a number or a combination is wrong; nothing has been written then.
        RunError: `out` is not empty.
    """
    folder, place = Path(out), choose(device)
    training, held_out = split(train, recipe.probe_images, subset)
    cohort = build_cohort(peers, matrix, recipe, seed=seed, frozen=frozen, data=train, device=place)
    batches = Batches(
        training,
        recipe.batch_size,
        augment=recipe.augment,
        order=seeds.generator(seed, "order"),
        augmentation=seeds.generator(seed, "augmentation"),
        device=place,
    )
    probe = runs.Probe(
        held_out.labels, tuple(content_hashes(held_out.images)), held_out.images if train.may_store_images else None
    )
    runs.start(folder, describe(peers, cohort, recipe, seed, training, held_out, test, place), probe)

    posteriors: list[Tensor] = []
    with (
        peers_side_by_side(len(peers) if parallel else 1, place) as cohort.run,
        tqdm(total=recipe.epochs * len(batches), unit="step", disable=not progress) as bar,
    ):
        for epoch in range(recipe.epochs):
            started = time.perf_counter()
            report = train_epoch(cohort, batches, recipe, epoch, bar)
            logits = predict_all(cohort, held_out, place)
            posteriors.append(logits.softmax(dim=-1))
            record = {
                "split": "probe",
                "epoch": epoch + 1,
                "learning_rate": learning_rate(recipe, epoch),
                "seconds": round(time.perf_counter() - started, 3),
                **report,
                **compare(logits, held_out.labels, cohort.learning),
            }
            runs.write_posteriors(folder, posteriors)
            runs.append(folder, record)
            bar.set_postfix(probe_top1=f"{record['top1'][cohort.learning].mean():.3f}")
        for k, peer in enumerate(cohort.peers):
            runs.write_weights(folder, k, peer.network)
        runs.append(
            folder, {"split": "test", **compare(predict_all(cohort, test, place), test.labels, cohort.learning)}
        )
    return runs.load(folder)


def build_cohort(
    peers: Sequence[str | nn.Module],
    matrix: Tensor | Sequence[Sequence[float]],
    recipe: Recipe,
    *,
    seed: int,
    frozen: Collection[int],
    data: ImageSet,
    device: torch.device,
) -> Cohort:
    """The peers with their optimizers, on the device; arguments as in `fit`."""
    if not all(0 <= k < len(peers) and not isinstance(peers[k], str) for k in frozen):
        raise ConfigError(f"frozen peers {sorted(frozen)} must be trained networks among the {len(peers)} peers")
    members, learners = [], 0
    for k, network in enumerate(peers):
        if isinstance(network, str):
            weights = seeds.generator(seed, "weights", learners)
            network = models.build(network, data.classes, channels=data.channels, generator=weights)
        network = network.to(device).to(memory_format=torch.channels_last)
        if k in frozen:
            members.append(Peer(network, frozen=True))
            continue
        optimizer = torch.optim.SGD(
            network.parameters(),
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            nesterov=True,
        )
        members.append(Peer(network, optimizer, label_weight=recipe.label_weight, mimicry_weight=recipe.mimicry_weight))
        learners += 1
    return Cohort(members, matrix, order=recipe.order, temperature=recipe.temperature)


def train_epoch(cohort: Cohort, batches: Batches, recipe: Recipe, epoch: int, bar: tqdm) -> dict[str, Tensor]:
    """One pass over the training images; the step reports' means over the epoch, each (K,)."""
    total, seen = torch.zeros(()), 0
    for step, (images, labels) in enumerate(batches):
        rate = learning_rate(recipe, epoch + step / len(batches))
        for k in cohort.learning:
            for group in cohort.peers[k].optimizer.param_groups:  # type: ignore[union-attr]
                group["lr"] = rate
        # Summed on the device, read once an epoch: reading every step would make the processor wait for the GPU.
        report = torch.stack(cohort.step(images, labels)) * len(labels)
        total, seen = total.to(report) + report, seen + len(labels)
        bar.update()
    supervised, mimicry, loss, right = total.cpu() / seen
    return {"supervised": supervised, "mimicry": mimicry, "total": loss, "train_top1": right}


@torch.no_grad()
def predict(network: nn.Module, data: ImageSet, device: torch.device) -> Tensor:
    """Logits (N, C) of a network in eval mode, on the CPU in at least fp32; images are normalised, never augmented."""
    network.eval()
    logits = [network(images) for images, _ in evaluation_batches(data, EVALUATION_BATCH, device)]
    return torch.cat(logits).cpu().float()


def predict_all(cohort: Cohort, data: ImageSet, device: torch.device) -> Tensor:
    """Logits (K, N, C) of all peers."""
    return torch.stack(list(cohort.run(lambda peer: predict(peer.network, data, device), cohort.peers)))


def compare(logits: Tensor, labels: Tensor, learning: Sequence[int]) -> dict[str, Any]:
    """The metrics of a line of metrics.jsonl from logits (K, N, C) and labels (N,).

    Means over pairs and the ensemble are over the `learning` peers.
    """
    among = logits[list(learning)]
    averaged = metrics.ensemble(among)
    return {
        "top1": metrics.top1(logits, labels),
        "nll": metrics.nll(logits, labels),
        "entropy": metrics.entropy(logits),
        "pairwise_kl": metrics.pairwise_kl(logits),
        "agreement": metrics.agreement(logits),
        "mean_pairwise_kl": metrics.mean_off_diagonal(metrics.pairwise_kl(among)),
        "mean_agreement": metrics.mean_off_diagonal(metrics.agreement(among)),
        "ensemble_top1": metrics.top1(averaged, labels),
        "ensemble_nll": metrics.nll(averaged, labels),
    }


def trained_network(run: Run, k: int) -> nn.Module:
    """Peer k as it was at the end of the run.

    Raises:
        RunError: the run has no such peer or did not finish, or the peer is no network of `models`.
    """
    if not 0 <= k < len(run.peers):
        raise RunError(f"{run.folder} has peers 0 to {len(run.peers) - 1}, not {k}")
    if run.peers[k] not in models.NAMES:
        raise RunError(
            f"{run.folder}: peer {k} is a network of its own kind ({run.peers[k]}); build it and load run.weights({k})"
        )
    data = run.config["data"]
    built = models.build(run.peers[k], len(data["class_names"]), channels=data["channels"])
    built.load_state_dict(run.weights(k))
    return built


def describe(
    peers: Sequence[str | nn.Module],
    cohort: Cohort,
    recipe: Recipe,
    seed: int,
    training: ImageSet,
    held_out: ImageSet,
    test: ImageSet,
    device: torch.device,
) -> dict[str, Any]:
    """config.json of the run: everything that is needed to run it again, and where it ran."""
    return {
        "recipe": vars(recipe),
        "peers": [
            {
                "network": network if isinstance(network, str) else type(network).__name__,
                "parameters": sum(p.numel() for p in peer.network.parameters()),
                "frozen": peer.frozen,
            }
            for network, peer in zip(peers, cohort.peers, strict=True)
        ],
        "topology": cohort.topology.tolist(),
        "seed": seed,
        "data": {
            "name": training.name,
            "class_names": list(training.class_names),
            "channels": training.channels,
            "training_images": len(training),
            "probe_images": len(held_out),
            "test_images": len(test),
        },
        "provenance": provenance.collect(device),
    }
