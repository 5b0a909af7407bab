"""Training a cohort from a recipe, and writing down what happened.

`fit` builds the peers, feeds every one of them the same batches, compares them on the probe set after each epoch, reads
the test set once, at the end, and leaves a run folder (see `runs`). `resume` ends what `fit` began, to the bit as if it
had never stopped. The loop itself is `loop.Training`.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dml_teach import checkpoint, devices, models, runs, seeds
from dml_teach.cohort import Cohort, Peer
from dml_teach.data import labels, sets
from dml_teach.data.batches import Batches
from dml_teach.data.images import ImageSet, content_hashes, split
from dml_teach.data.retrieval import RetrievalSet, TestSet
from dml_teach.description import Member, describe, describe_data, without_format
from dml_teach.distributed import Mesh, joined
from dml_teach.errors import CheckpointError, ConfigError, RunError
from dml_teach.layout import Layout
from dml_teach.loop import CHECKPOINT_SECONDS, FOLDER, Training
from dml_teach.models.network import Network
from dml_teach.peer import Echo, echo
from dml_teach.recipes import Recipe, build_optimizer, sizes
from dml_teach.runs import Run
from dml_teach.tensorboard import FOLDER as EVENTS
from dml_teach.tensorboard import Events


def fit(
    peers: Sequence[Member],
    matrix: Tensor | Sequence[Sequence[float]],
    train: ImageSet,
    test: TestSet,
    recipe: Recipe,
    *,
    seed: int,
    out: Path | str,
    subset: int | None = None,
    frozen: Collection[int] = (),
    device: str = "auto",
    parallel: bool = True,
    compiled: bool = False,
    tensorboard: bool = False,
    progress: bool = True,
    checkpoint_seconds: float | None = CHECKPOINT_SECONDS,
    layout: Layout | None = None,
) -> Run:
    """Train a cohort and return its run.

    Where torchrun has started this program as several ranks, they train it together; see `distributed`. When it starts
    them anew after a failure, the run goes on from its last checkpoint.

    Args:
        peers: a name from `models.NAMES` for each network to be built, a network, or `Echo(k)`, which is peer k as a
            teacher of its own on images before augmentation; K of them.
        matrix: the topology W (K, K), who learns from whom.
        train: the training images; recipe.probe_images of them are held out.
        test: the test images, read once, after the last epoch; or the query and gallery of a test of retrieval, whose
            identities are not those of `train`.
        recipe: all hyper-parameters.
        seed: fixes weights, order and augmentation. The j-th *learning* peer starts from the same weights in every run
            with this seed.
        out: the run's folder, new or empty.
        subset: train on this many images, drawn by content; None for all that are not held out.
        frozen: which peers are static teachers; they must be given as networks, since an untrained teacher knows
            nothing. An echo is frozen anyway.
        device: "auto", "cpu", "cuda", "cuda:1", "mps".
        parallel: on a CPU, run the peers side by side, each in a thread of its own; the result is the same bit for bit.
        compiled: run the networks through `torch.compile`; results differ from those without in the last digits.
        tensorboard: repeat the metrics for TensorBoard, in the run folder.
        progress: show a bar, a tick per step.
        checkpoint_seconds: write a checkpoint after so many seconds, and after every epoch, for `resume`; None writes
            none, for runs that are sooner done again.
        layout: over the ranks.

    Raises:
        ConfigError: a name, a number or a combination is wrong; nothing has been written then.
        RunError: `out` is not empty, or can not be written.
        CheckpointError: a checkpoint can not be written.
        DivergedError: a loss or a weight is no longer finite.
        Interrupted: SIGINT or SIGTERM came; a checkpoint has been written. (Without checkpoints, both are as usual.)
        RankError: another rank died, hangs or failed.
    """
    folder, chosen = Path(out), devices.choose(device)
    training, held_out = prepare(train, recipe, seed, subset)
    execution = {
        "device": str(chosen), "precision": devices.precision(recipe.precision, chosen), "compiled": compiled
    }  # fmt: skip
    with joined(peers, chosen, layout) as mesh:
        cohort = build_cohort(
            peers, matrix, recipe, seed=seed, frozen=frozen, data=train, execution=execution, mesh=mesh
        )  # fmt: skip
        config = describe(peers, cohort, recipe, seed, training, held_out, test, execution)
        begun = _training(folder, config, cohort, recipe, seed, training, held_out, test, mesh, checkpoint_seconds)
        begun.events = Events(folder) if tensorboard else None
        found = None
        if any(mesh.agree(mesh.leader and mesh.restarted and runs.begun(folder, config))):
            if runs.load(folder).test is not None:
                return runs.load(folder)
            found = checkpoint.latest(folder / FOLDER)
            begun.config = found.facts["config"]
        elif mesh.leader:
            images = held_out.images if train.may_store_images else None
            runs.start(folder, runs.Probe(held_out.labels, tuple(content_hashes(held_out.images)), images))
        begun.run(found, parallel=parallel, progress=progress)
        return runs.load(folder)


def resume(
    folder: Path | str,
    train: ImageSet | None = None,
    test: TestSet | None = None,
    *,
    data: Path | str | None = None,
    peers: Sequence[Member] | None = None,
    parallel: bool = True,
    progress: bool = True,
    checkpoint_seconds: float | None = CHECKPOINT_SECONDS,
    layout: Layout | None = None,
) -> Run:
    """Train an interrupted run to its end; weights, posteriors and metrics are those of a run that never stopped.

    A finished run is returned as it is. One process or several ranks may go on with what others began; with another
    number of shards, though, batch norm sees other shards from there on.

    Args:
        folder: the run's.
        train: the images that `fit` was given; None loads the data set of that name.
        test: likewise.
        data: where the data set lies, as in `sets.load`.
        peers: as `fit` was given them, for a run with networks that are not of `models`; None builds them by name.
        parallel: as in `fit`.
        progress: as in `fit`.
        checkpoint_seconds: as in `fit`.
        layout: as in `fit`.

    Raises:
        RunError: it is no run folder, or a network can not be built by name.
        CheckpointError: no checkpoint is good, or settings, data, device or PyTorch are not those of the run.
        ConfigError, DataError: the data set is not to be found.
        DivergedError, Interrupted, RankError: as in `fit`.
    """
    run = runs.load(folder)
    watched = (run.folder / EVENTS).is_dir()
    if run.test is not None:
        if watched:
            Events(run.folder).update()  # it may have been killed between the last record and its event
        checkpoint.discard(run.folder / FOLDER)
        return run
    found = checkpoint.latest(run.folder / FOLDER)
    checkpoint.require_same(found, "config", found.facts["config"], without_format(run.config))
    config, recipe = found.facts["config"], Recipe(**run.config["recipe"])
    try:
        chosen = devices.choose(config["device"])
    except ConfigError as error:
        raise CheckpointError(
            f"{found.path}: the run can go on only on device '{config['device']}'; {error}"
        ) from error
    if train is None or test is None:
        train, test = sets.load(config["data"]["name"], data)
    seed = config["seed"]
    training, held_out = prepare(train, recipe, seed, config["data"]["training_images"])
    checkpoint.require_same(found, "config.data", config["data"], describe_data(training, held_out, test))
    if peers is None:
        peers = [Echo(peer["echo"]) if "echo" in peer else _rebuilt(run, k) for k, peer in enumerate(config["peers"])]
    frozen = [k for k in range(len(peers)) if k not in run.learning]
    with joined(peers, chosen, layout) as mesh:
        cohort = build_cohort(
            peers, config["topology"], recipe, seed=seed, frozen=frozen, data=train, execution=config, mesh=mesh
        )
        begun = _training(run.folder, config, cohort, recipe, seed, training, held_out, test, mesh, checkpoint_seconds)
        begun.events = Events(run.folder) if watched else None
        begun.run(found, parallel=parallel, progress=progress)
        return runs.load(folder)


def prepare(data: ImageSet, recipe: Recipe, seed: int, subset: int | None) -> tuple[ImageSet, ImageSet]:
    """Training and probe images, the former with labels corrupted and hidden as the recipe asks; the probe's are true.

    Raises:
        ConfigError: there are not so many images, or no label would be left.
    """
    training, held_out = split(data, recipe.probe_images, subset)
    if recipe.label_noise:
        training = labels.corrupt(training, recipe.label_noise, seeds.generator(seed, "label noise"))
    return (labels.hide(training, recipe.labelled) if recipe.labelled < 1 else training), held_out


def build_cohort(
    peers: Sequence[Member],
    matrix: Tensor | Sequence[Sequence[float]],
    recipe: Recipe,
    *,
    seed: int,
    frozen: Collection[int],
    data: ImageSet,
    execution: Mapping[str, Any],
    mesh: Mesh | None = None,
) -> Cohort:
    """The peers with their optimizers, on the device; arguments as in `fit`, and `execution`: device, precision as a
    key of `devices.DTYPES`, and whether networks are compiled.

    Of peers that live on another rank of the mesh there are shapes alone, on PyTorch's "meta" device.
    """
    if not all(0 <= k < len(peers) and not isinstance(peers[k], str) for k in frozen):
        raise ConfigError(f"frozen peers {sorted(frozen)} must be trained networks among the {len(peers)} peers")
    mesh = mesh or Mesh([0] * len(peers), device=torch.device(execution["device"]))
    how: dict[str, Any] = {
        "precision": devices.DTYPES[execution.get("precision", "fp32")],
        "compiled": execution.get("compiled", False),
    }
    members: dict[int, Peer] = {}
    learners = 0
    for k, network in enumerate(peers):
        if isinstance(network, Echo):
            continue
        if isinstance(network, str):
            weights = seeds.generator(seed, "weights", learners)
            suited = models.suited(network, *size_of(data, recipe))
            network = models.build(network, data.classes, channels=data.channels, generator=weights, **suited)
        here = k in mesh.here
        network = network.to(mesh.device if here else "meta").to(memory_format=torch.channels_last)
        if k in frozen:
            members[k] = Peer(network, frozen=True, **(how if here else {}))
            continue
        dropout = seeds.generator(seed, mesh.of_shard("dropout"), learners, mesh.device)
        members[k] = _learner(mesh.prepared(network), recipe, **({**how, "generator": dropout} if here else {}))
        if mesh.along is not None and here:
            members[k].spread(mesh.average)
        learners += 1
    for k, network in enumerate(peers):
        if isinstance(network, Echo):
            if network.of not in members or members[network.of].frozen:
                raise ConfigError(f"peer {k} echoes peer {network.of}, which is no network that learns")
            members[k] = echo(members[network.of])
    return Cohort(
        [members[k] for k in range(len(peers))],
        matrix,
        order=recipe.order,
        temperature=recipe.temperature,
        mimicry=recipe.mimicry,
        here=mesh.here,
        exchange=mesh.exchange,
    )


def _learner(network: nn.Module, recipe: Recipe, **how: Any) -> Peer:
    """A peer that learns by the recipe; `how` is for `Peer`."""
    return Peer(
        network,
        build_optimizer(recipe, network.parameters()),
        label_weight=recipe.label_weight,
        mimicry_weight=recipe.mimicry_weight,
        label_smoothing=recipe.label_smoothing,
        feature_weight=recipe.feature_weight,
        decay=recipe.ema,
        **how,
    )


def size_of(data: ImageSet, recipe: Recipe) -> tuple[int, int]:
    """Height and width at which networks see the images."""
    return (sizes(recipe.resize) or (tuple(data.images.shape[2:]),))[-1]  # type: ignore[return-value]


def require_features(cohort: Cohort) -> None:
    """Raise `ConfigError` unless every peer can be asked for embeddings, as a test of retrieval does."""
    for k, peer in enumerate(cohort.peers):
        if not isinstance(peer.network, Network):
            raise ConfigError(
                f"peer {k}, a {type(peer.network).__name__}, has no features to be found by; a test of retrieval needs"
                " networks of `models`, or your own kind of models.Network"
            )


def trained_network(run: Run, k: int) -> Network:
    """Peer k as it was at the end of the run.

    Raises:
        RunError: the run has no such peer or did not finish, or the peer is no network of `models`.
    """
    if not 0 <= k < len(run.peers):
        raise RunError(f"{run.folder} has peers 0 to {len(run.peers) - 1}, not {k}")
    built = _rebuilt(run, k)
    built.load_state_dict(run.weights(k))
    return built


def _rebuilt(run: Run, k: int) -> Network:
    """Peer k's network, with weights that are still to be loaded."""
    if run.peers[k] not in models.NAMES:
        raise RunError(
            f"{run.folder}: peer {k} is a network of its own kind ({run.peers[k]}); make it yourself, and load"
            f" run.weights({k}) into it or pass it to resume(peers=...)"
        )
    data, options = run.config["data"], run.config["peers"][k].get("options", {})
    unused = torch.Generator()  # so that the global one stays where it is
    return models.build(run.peers[k], len(data["class_names"]), channels=data["channels"], generator=unused, **options)


def _training(
    folder: Path,
    config: dict[str, Any],
    cohort: Cohort,
    recipe: Recipe,
    seed: int,
    training: ImageSet,
    held_out: ImageSet,
    test: TestSet,
    mesh: Mesh,
    checkpoint_seconds: float | None,
) -> Training:
    if isinstance(test, RetrievalSet):
        require_features(cohort)
    batches = Batches(
        training,
        recipe.batch_size,
        augment=recipe.augment,
        crops=recipe.crops,
        sizes=sizes(recipe.resize),
        order=seeds.generator(seed, "order"),
        augmentation=seeds.generator(seed, "augmentation"),
        device=mesh.device,
        clean=any(peer.clean for peer in cohort.peers),
    )
    mesh.require(len(training) % recipe.batch_size or recipe.batch_size)  # the last of an epoch is the smallest
    partners = seeds.generator(seed, "partners")
    return Training(
        folder, config, cohort, batches, recipe, held_out, test, mesh, partners, checkpoint_seconds
    )  # fmt: skip
