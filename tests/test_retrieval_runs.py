"""Runs that are tested by retrieval: what their test line says, that they resume, and what networks they need."""

import math

import pytest
import torch
from torch import nn

from dml_teach import experiments, models, overview, recordings, topology
from dml_teach.data import sets as data_sets
from dml_teach.data.retrieval import RetrievalSet
from dml_teach.errors import CheckpointError, ConfigError
from dml_teach.evaluation import OF_RETRIEVAL, compare_embeddings, concatenate, embed, retrieve
from dml_teach.experiments import Arm, Cell, Experiment
from dml_teach.overview import against, text
from dml_teach.peer import Echo
from dml_teach.recipes import OFFICIAL_MARKET, PAPER_MARKET, SOURCES, sizes
from dml_teach.trainer import resume, trained_network
from tests.conftest import strangers, striped
from tests.resuming import RECIPE, Killed, assert_same, begin

CPU = torch.device("cpu")


@pytest.fixture
def sets():
    return striped(90, seed=1), strangers()


def slow_average_precision(network, test: RetrievalSet) -> float:
    """Mean AP of a network, one query and one rank after the other."""
    network.eval()
    mean, std = (torch.tensor(values)[None, :, None, None] for values in (test.mean, test.std))

    def embedded(part):
        with torch.no_grad():
            found = network.features((part.images / 255 - mean) / std)
        return found / found.norm(dim=1, keepdim=True)

    query, gallery = embedded(test.query), embedded(test.gallery)
    found = []
    for q in range(len(query)):
        right, seen, precisions = test.query.identities[q], 0, []
        rank = 0
        for g in sorted(range(len(gallery)), key=lambda g: (-float(query[q] @ gallery[g]), g)):
            same = test.gallery.identities[g] == right
            if test.gallery.identities[g] == -1 or (same and test.gallery.cameras[g] == test.query.cameras[q]):
                continue
            rank += 1
            if same:
                seen += 1
                precisions.append(seen / rank)
        found.append(sum(precisions) / len(precisions))
    return sum(found) / len(found)


def test_the_test_line_has_single_networks_and_the_concatenated_ensemble_apart(sets, tmp_path):
    run = begin(tmp_path / "run", sets)
    assert set(run.test) == {"split", *OF_RETRIEVAL, *(f"ensemble_{name}" for name in OF_RETRIEVAL)}
    assert all(len(run.test[name]) == 2 for name in OF_RETRIEVAL)
    assert all(0 <= run.test[f"ensemble_{name}"] <= 1 for name in OF_RETRIEVAL)
    assert run.config["data"]["query_images"] == 6 and run.config["data"]["gallery_images"] == 24


def test_map_of_each_peer_equals_a_count_by_hand(sets, tmp_path):
    run = begin(tmp_path / "run", sets)
    for k in range(2):
        expected = slow_average_precision(trained_network(run, k), sets[1])
        assert run.test["mAP"][k] == pytest.approx(expected, abs=1e-6)


def test_each_peer_has_the_same_say_in_the_concatenated_embedding(sets):
    test = sets[1]
    small, large = (models.build("small", 3, channels=1, generator=torch.Generator().manual_seed(s)) for s in (0, 1))
    for parameter in large.body[-1].parameters():
        parameter.data *= 1000  # longer features, the same directions
    pair = [embed(network, test, CPU) for network in (small, large)]
    query, gallery = concatenate(pair)
    expected = sum(one @ other.T for one, other in pair) / 2
    assert torch.allclose(nn.functional.normalize(query) @ nn.functional.normalize(gallery).T, expected, atol=1e-6)


def test_the_trapezoid_gives_no_more_than_the_sum(sets, tmp_path):
    run = begin(tmp_path / "run", sets, epochs=1)
    assert all(low <= high for low, high in zip(run.test["mAP_trapezoid"], run.test["mAP"], strict=True))


def test_a_single_peer_is_its_own_ensemble(sets, tmp_path):
    run = begin(tmp_path / "run", sets, peers=("small",))
    assert run.test["ensemble_mAP"] == pytest.approx(run.test["mAP"][0], abs=1e-12)


def test_frozen_teachers_are_tested_but_do_not_count_in_the_ensemble(sets):
    generator, test = torch.Generator().manual_seed(0), sets[1]
    several = [
        tuple(nn.functional.normalize(torch.randn(n, 4, generator=generator)) for n in (len(test.query), 24))
        for _ in range(3)
    ]
    found = compare_embeddings(several, test, [1, 2], CPU)
    assert len(found["mAP"]) == 3 and len(set(found["mAP"])) == 3
    assert found["ensemble_mAP"] == retrieve(*concatenate(several[1:]), test, CPU)["mAP"]
    assert found["ensemble_mAP"] != retrieve(*concatenate(several), test, CPU)["mAP"]


def test_a_run_with_a_frozen_teacher_tests_both(sets, tmp_path):
    teacher = trained_network(begin(tmp_path / "teacher", sets, peers=("small",)), 0)
    run = begin(tmp_path / "run", sets, peers=(teacher, "small"), matrix=topology.one_way(2), frozen=(0,))
    assert len(run.test["mAP"]) == 2


def test_averaged_weights_are_what_is_tested(sets, tmp_path):
    run = begin(tmp_path / "run", sets, ema=0.9)
    again = retrieve(*embed(trained_network(run, 0), sets[1], CPU), sets[1], CPU)
    assert run.test["mAP"][0] == pytest.approx(again["mAP"], abs=1e-9)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"augment": True, "crops": False, "resize": "16x14,24x8"},
        {"optimizer": "adam", "momentum": 0.5, "label_smoothing": 0.1, "ema": 0.99, "mimicry": "summed"},
        {"peers": ("small", Echo(0)), "matrix": topology.self_taught(1), "augment": True, "resize": "8x8"},
    ],
    ids=["plain", "flips and two resizes", "as the paper's code", "self-distillation"],
)
def test_an_interrupted_run_goes_on_to_the_same_end(changes, sets, stop_at, tmp_path):
    whole = begin(tmp_path / "whole", sets, **changes)
    stop_at(5)
    with pytest.raises(Killed):
        begin(tmp_path / "cut", sets, **changes)
    stop_at(0)
    assert_same(resume(tmp_path / "cut", *sets, progress=False), whole)


def test_another_gallery_or_other_cameras_are_refused(sets, stop_at, tmp_path):
    stop_at(5)
    with pytest.raises(Killed):
        begin(tmp_path / "cut", sets)
    stop_at(0)
    moved = strangers()
    moved.query.cameras[0] += 1
    for other in (strangers(seed=4), moved):
        with pytest.raises(CheckpointError, match="sha256"):
            resume(tmp_path / "cut", sets[0], other, progress=False)


def test_a_network_without_features_is_refused_before_anything_is_written(sets, tmp_path):
    network = nn.Sequential(nn.Flatten(), nn.Linear(144, 3))
    with pytest.raises(ConfigError, match="no features"):
        begin(tmp_path / "run", sets, peers=("small", network))
    assert not (tmp_path / "run").exists()


def test_what_is_resized_is_seen_at_that_size_in_training_probe_and_test(sets, tmp_path, monkeypatch):
    seen = set()
    original = models.Network.features

    def watched(self, images):
        seen.add((self.training, *images.shape[2:]))
        return original(self, images)

    monkeypatch.setattr(models.Network, "features", watched)
    begin(tmp_path / "run", sets, resize="16x14,24x8", epochs=1)
    assert seen == {(True, 24, 8), (False, 24, 8)}


@pytest.mark.parametrize("size", [(64, 32), (128, 64), (160, 64), (224, 224)])
@pytest.mark.parametrize("name", models.NAMES)
def test_every_network_embeds_images_of_the_sizes_of_reidentification(name, size):
    """On PyTorch's meta device: shapes alone, nothing is computed."""
    network = models.build(name, 751, **models.suited(name, *size)).to("meta").eval()
    images = torch.empty(2, 3, *size, device="meta")
    assert network.features(images).shape == (2, network.head.in_features)
    assert network(images).shape == (2, 751)


@pytest.mark.parametrize(("size", "maps"), [((32, 32), 4), ((64, 32), 8), ((128, 64), 4), ((224, 224), 7)])
def test_mobilenets_strides_suit_the_image(size, maps):
    network = models.build("mobilenet", 10, **models.suited("mobilenet", *size)).to("meta").eval()
    assert network.maps(torch.empty(1, 3, *size, device="meta")).shape[2] == maps


def test_market_recipes_have_the_iterations_they_speak_of():
    for recipe, iterations in ((PAPER_MARKET, 100_000), (OFFICIAL_MARKET, 200_000)):
        steps = math.ceil((12_936 - recipe.probe_images) / recipe.batch_size)
        assert (recipe.epochs - 1) * steps < iterations <= recipe.epochs * steps


def test_the_steps_of_a_resize_are_read_in_turn():
    assert sizes("160x64,224x224") == ((160, 64), (224, 224)) and sizes("") == ()


@pytest.mark.parametrize("recipe", [PAPER_MARKET, OFFICIAL_MARKET], ids=lambda recipe: recipe.name)
def test_every_value_of_a_market_recipe_has_a_source(recipe):
    assert set(SOURCES[recipe.name]) == set(vars(recipe)) - {"name", "step_epochs"}  # which a constant rate has not


# --- what is made of such runs ---


@pytest.fixture
def recorded(sets, tmp_path, monkeypatch):
    monkeypatch.setitem(data_sets.FACTS, "striped", data_sets.FACTS["bundled"]._replace(load=lambda *_: sets))
    arms = (Arm("alone", ("small", "small"), every_size=True), Arm("mutual", ("small", "small"), "mutual"))
    experiment = Experiment("tiny", "Who is this?", "striped", RECIPE, arms)
    for seed in (0, 1):
        for arm in arms:
            experiments.train(experiment, Cell(arm, seed), tmp_path)
    found = experiments.finished(experiment, tmp_path, (0, 1))
    return recordings.record(experiment, found, curves=("train_top1",)), found


def test_a_recording_has_the_retrieval_of_each_network_and_of_the_pair(recorded):
    kept, found = recorded
    mutual = recordings.find_arm(kept, "mutual")
    for metric in OF_RETRIEVAL:
        assert mutual[metric] == [pytest.approx(run.test[metric], abs=1e-6) for run in found["mutual"]]
        assert mutual[f"ensemble_{metric}"] == pytest.approx(
            [run.test[f"ensemble_{metric}"] for run in found["mutual"]], abs=1e-6
        )
    assert "top1" not in mutual and "mean_agreement" not in mutual and len(mutual["train_top1"]) == 2


def test_an_independent_pair_is_recorded_at_both_sizes(recorded):
    kept, found = recorded
    one, two = (recordings.find_arm(kept, f"alone-{k}") for k in (1, 2))
    assert one["ensemble_mAP"] == [value for (value,) in one["mAP"]]
    assert two["ensemble_mAP"] == pytest.approx([run.test["ensemble_mAP"] for run in found["alone"]], abs=1e-6)


def test_a_table_shows_what_retrieval_is_measured_by(recorded):
    rows = {row.arm: row.values for row in recordings.table(recorded[0], baseline="alone-2")}
    assert list(rows["mutual"])[:6] == list(OF_RETRIEVAL)
    assert rows["mutual"]["ensemble_mAP"].difference.seeds == 2


def test_the_overview_shows_map_beside_top1(recorded, tmp_path):
    entries, skipped = overview.search([tmp_path])
    shown = text.overview(overview.groups(entries))
    assert not skipped and "mAP %" in shown and "ensemble rank-1 %" in shown and "NLL " not in shown.splitlines()[2]
    value = 100 * sum(entries[0].run.test["mAP"]) / 2
    assert f"{value:.2f}" in text.overview([[entries[0]]])


def test_runs_of_both_kinds_stand_in_one_overview(recorded, tmp_path):
    begin(tmp_path / "classes", (striped(90, seed=1), striped(45, seed=2)))
    shown = text.overview(overview.groups(overview.search([tmp_path])[0]))
    assert "mAP %" in shown and "NLL" in shown and " - " in shown


def test_retrieval_runs_are_compared_by_map(recorded, tmp_path):
    alone, mutual = (overview.search([tmp_path / name])[0] for name in ("alone", "mutual"))
    (compared,), _ = against.against(mutual, alone)
    assert list(compared.differences) == list(overview.OF_RETRIEVAL)
    assert "rank-1 %" in text.comparisons([compared], "alone")
