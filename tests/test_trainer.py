"""A run from its recipe to its folder."""

import math

import pytest
import torch

from dml_teach import evaluation, losses, models, runs, topology
from dml_teach.cohort import Cohort
from dml_teach.data.batches import normalise
from dml_teach.errors import ConfigError, RunError
from dml_teach.recipes import Recipe
from dml_teach.trainer import build_cohort, fit, trained_network

RECIPE = Recipe(name="test", epochs=3, batch_size=20, learning_rate=0.05, probe_images=30)
CPU = torch.device("cpu")


@pytest.fixture
def train(tmp_path, train_set, test_set):
    """Train with a few words: train("name", topology, seed=..., recipe changes...)."""

    def run(name, matrix=None, peers=("small", "small"), seed=0, frozen=(), subset=None, parallel=True, **changes):
        matrix = topology.mutual(len(peers)) if matrix is None else matrix
        recipe = RECIPE.with_(**changes)
        return fit(
            peers, matrix, train_set, test_set, recipe, seed=seed, out=tmp_path / name, frozen=frozen, subset=subset,
            device="cpu", parallel=parallel, progress=False,
        )  # fmt: skip

    return run


def without_time(run):
    return [{name: value for name, value in record.items() if name != "seconds"} for record in run.epochs], run.test


def same_weights(a, b, k=0):
    return all(torch.equal(x, y) for x, y in zip(a.weights(k).values(), b.weights(k).values(), strict=True))


def test_peers_learn_what_can_be_learnt(train):
    run = train("run", epochs=8)
    assert min(run.test["top1"]) > 0.8  # a third by chance
    totals = run.curve("total").mean(dim=1)
    assert totals[-1] < 0.5 * totals[0]


@pytest.mark.parametrize("order", ["simultaneous", "sequential"])
def test_a_seed_fixes_a_run_bit_for_bit(train, order):
    first, second = train("a", order=order, augment=True), train("b", order=order, augment=True)
    assert without_time(first) == without_time(second)
    assert torch.equal(first.posteriors, second.posteriors)
    assert same_weights(first, second, 0) and same_weights(first, second, 1)


@pytest.mark.parametrize("order", ["simultaneous", "sequential"])
def test_peers_side_by_side_equal_peers_one_after_the_other_bit_for_bit(train, order):
    peers = ("small", "resnet32", "small")
    first, second = (train(name, peers=peers, order=order, parallel=name == "a", epochs=2) for name in ("a", "b"))
    assert without_time(first) == without_time(second)
    assert all(same_weights(first, second, k) for k in range(3))


def test_the_number_of_threads_is_given_back(train):
    before = torch.get_num_threads()
    train("a", epochs=1)
    assert torch.get_num_threads() == before


def test_every_setting_of_the_recipe_reaches_the_cohort(train_set, monkeypatch, train):
    recipe = RECIPE.with_(
        optimizer="adam", momentum=0.5, label_smoothing=0.1, label_weight=0.5, mimicry="summed", temperature=2.0
    )
    cohort = build_cohort(
        ["small"] * 3, topology.mutual(3), recipe, seed=0, frozen=(), data=train_set, execution={"device": "cpu"}
    )
    assert all(isinstance(peer.optimizer, torch.optim.Adam) for peer in cohort.peers)
    assert {(peer.label_smoothing, peer.label_weight) for peer in cohort.peers} == {(0.1, 0.5)}
    assert (cohort.mimicry, cohort.temperature) == (losses.summed_mimicry, 2.0)

    weights, original = [], Cohort.step

    def record(self, images, labels):
        weights.append(self.peers[0].mimicry_weight)
        return original(self, images, labels)

    monkeypatch.setattr(Cohort, "step", record)
    train("warm", warmup_epochs=2.0)  # 60 training images, batches of 20: three steps an epoch
    assert weights == pytest.approx([0, 1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1, 1, 1])


def test_another_seed_gives_another_run(train):
    assert not same_weights(train("a", seed=0), train("b", seed=1))


def test_the_global_random_state_neither_matters_nor_changes(train):
    torch.manual_seed(1)
    first = train("a", augment=True)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    second = train("b", augment=True)
    assert same_weights(first, second)
    assert torch.equal(before, torch.get_rng_state())


def test_runs_with_one_seed_are_paired_same_first_weights_and_same_batches(train, train_set, monkeypatch):
    shown = {}

    def record(self, images, labels):
        shown.setdefault(name, []).append(images.clone())
        return original(self, images, labels)

    original = Cohort.step
    monkeypatch.setattr(Cohort, "step", record)
    for name, matrix in [("mutual", topology.mutual(2)), ("independent", topology.independent(2))]:
        train(name, matrix, augment=True)
    assert all(torch.equal(a, b) for a, b in zip(shown["mutual"], shown["independent"], strict=True))

    def first_weights(peers, frozen):
        cohort = build_cohort(
            peers,
            topology.independent(len(peers)),
            RECIPE,
            seed=5,
            frozen=frozen,
            data=train_set,
            execution={"device": "cpu"},
        )
        return [next(cohort.peers[k].network.parameters()) for k in cohort.learning]

    pair = first_weights(["small", "small"], ())
    taught = first_weights([models.build("small", 3, channels=1), "small", "small"], (0,))
    assert not torch.equal(*pair)
    assert all(torch.equal(a, b) for a, b in zip(pair, taught, strict=True))


def test_the_probe_images_are_never_trained_on_and_the_test_set_is_read_once(train, train_set, test_set, monkeypatch):
    trained, evaluated = [], []
    step, evaluate = Cohort.step, evaluation.predict

    def record_step(self, images, labels):
        trained.extend(image.numpy().tobytes() for image in images)
        return step(self, images, labels)

    def record_predict(network, data, *rest):
        evaluated.append(data)
        return evaluate(network, data, *rest)

    monkeypatch.setattr(Cohort, "step", record_step)
    monkeypatch.setattr(evaluation, "predict", record_predict)
    run = train("run")
    probe = normalise(run.probe.images, train_set.mean, train_set.std)
    assert not {image.numpy().tobytes() for image in probe} & set(trained)
    assert len(set(trained)) == len(train_set) - RECIPE.probe_images
    assert [data is test_set for data in evaluated] == [False] * 2 * RECIPE.epochs + [True] * 2


def test_augmentation_never_touches_the_images_that_are_evaluated(train, train_set, test_set):
    run = train("run", augment=True)
    network = trained_network(run, 0).eval()
    with torch.no_grad():
        plain = network(normalise(test_set.images, test_set.mean, test_set.std))
        probe = network(normalise(run.probe.images, train_set.mean, train_set.std))
    assert run.test["top1"][0] == (plain.argmax(1) == test_set.labels).double().mean().item()
    torch.testing.assert_close(run.posteriors[-1, 0], probe.softmax(1))


def test_evaluation_leaves_the_network_as_it_was(test_set):
    network = models.build("small", 3, channels=1)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    evaluation.predict(network, test_set, CPU)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_the_folder_holds_what_its_page_says(train):
    run = train("run", peers=("small", "small", "small"))
    assert {p.relative_to(run.folder).as_posix() for p in run.folder.rglob("*") if p.is_file()} == {
        "config.json", "metrics.jsonl", "probe.safetensors", "posteriors.safetensors",
        *(f"weights/peer-{k}.safetensors" for k in range(3)),
    }  # fmt: skip
    assert run.posteriors.shape == (3, 3, 30, 3)
    torch.testing.assert_close(run.posteriors.sum(-1), torch.ones(3, 3, 30))
    assert run.curve("top1").shape == (3, 3) and run.curve("agreement").shape == (3, 3, 3)
    assert len(run.probe.hashes) == len(run.probe.labels) == 30
    expected = (run.posteriors.argmax(-1) == run.probe.labels).double().mean(-1)
    torch.testing.assert_close(run.curve("top1"), expected)
    assert run.config["seed"] == 0 and run.config["recipe"]["epochs"] == 3
    assert set(run.config["provenance"]) == {"command", "commit", "versions", "hardware", "started"}


def test_pixels_that_may_not_be_stored_are_not(tmp_path, train_set, test_set):
    from dataclasses import replace

    closed = replace(train_set, may_store_images=False)
    run = fit(
        ["small"],
        [[0]],
        closed,
        test_set,
        RECIPE.with_(epochs=1),
        seed=0,
        out=tmp_path / "r",
        device="cpu",
        progress=False,
    )
    assert run.probe.images is None and len(run.probe.hashes) == 30


def test_a_frozen_teacher_stays_as_it_was_and_its_losses_are_null(train):
    teacher = trained_network(train("teacher", peers=("small",)), 0)
    run = train("student", topology.one_way(2), peers=(teacher, "small"), frozen=(0,))
    assert run.learning == [1]
    assert run.epochs[0]["total"][0] is None and run.epochs[0]["total"][1] > 0
    assert math.isnan(run.curve("mimicry")[0, 0])
    assert run.test["ensemble_top1"] == run.test["top1"][1]
    assert run.epochs[0]["mean_agreement"] is None
    for name, value in teacher.state_dict().items():
        assert torch.equal(run.weights(0)[name], value)


def test_training_means_are_over_images_even_if_the_last_batch_is_small(train):
    """With a rate of almost nothing the supervised loss of an epoch is that of the first weights, image by image."""
    run = train("run", peers=("small",), subset=50, batch_size=49, learning_rate=1e-12, epochs=1)
    assert run.config["data"]["training_images"] == 50
    assert run.epochs[0]["supervised"][0] == pytest.approx(run.epochs[0]["total"][0])
    assert run.epochs[0]["train_top1"][0] * 50 == pytest.approx(round(run.epochs[0]["train_top1"][0] * 50), abs=1e-4)


def test_a_folder_with_something_in_it_is_left_alone(train, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    with pytest.raises(RunError, match="not empty"):
        train("full")
    assert [p.name for p in (tmp_path / "full").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"peers": ("smal",)}, "small"),
        ({"peers": ("small", "small"), "frozen": (0,)}, "frozen"),
        ({"peers": ("small",), "frozen": (3,)}, "frozen"),
        ({"subset": 80}, "80"),
        ({"subset": 0}, "0"),
        ({"matrix": [[0, 1], [1, 1]]}, "row 1"),
        ({"probe_images": 90}, "90"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_written(train, tmp_path, changes, says):
    with pytest.raises(ConfigError, match=says):
        train("run", **changes)
    assert not (tmp_path / "run").exists()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_trains_on_the_same_batches_to_nearly_the_same_losses(train, train_set, test_set, tmp_path):
    on_cpu = train("cpu", epochs=1)
    on_gpu = fit(
        ["small", "small"], topology.mutual(2), train_set, test_set, RECIPE.with_(epochs=1), seed=0,
        out=tmp_path / "gpu", device="cuda", progress=False,
    )  # fmt: skip
    torch.testing.assert_close(on_gpu.curve("total"), on_cpu.curve("total"), rtol=1e-2, atol=1e-2)


def test_loading_names_the_file_at_fault(train, tmp_path):
    run = train("run", epochs=1)
    with pytest.raises(RunError, match=r"no config\.json"):
        runs.load(tmp_path)
    metrics = (run.folder / "metrics.jsonl").read_text()
    (run.folder / "metrics.jsonl").write_text("not json\n" + metrics)
    with pytest.raises(RunError, match=r"metrics\.jsonl"):
        runs.load(run.folder)
    (run.folder / "metrics.jsonl").write_text(metrics)
    posteriors = run.folder / "posteriors.safetensors"
    posteriors.write_bytes(posteriors.read_bytes()[:-8])
    with pytest.raises(RunError, match=r"posteriors\.safetensors"):
        _ = runs.load(run.folder).posteriors
    with pytest.raises(RunError, match="no metric 'speed'"):
        run.curve("speed")
    with pytest.raises(RunError, match="peers 0 to 1"):
        trained_network(run, 2)
    (run.folder / "config.json").write_text('{"format": 99}')
    with pytest.raises(RunError, match="format 1"):
        runs.load(run.folder)


def test_a_torn_last_line_costs_that_line_only(train):
    run = train("run")
    path = run.folder / "metrics.jsonl"
    path.write_text(path.read_text()[:-30])
    torn = runs.load(run.folder)
    assert torn.test is None and len(torn.epochs) == 3


def test_runs_below_a_folder_are_found_in_order(train, tmp_path):
    train("b", epochs=1)
    train("a", epochs=1)
    assert [run.folder.name for run in runs.find(tmp_path)] == ["a", "b"]
