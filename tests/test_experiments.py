"""The engine of the experiments: what is trained, what is not trained again, and who teaches whom."""

import dataclasses
import signal
import subprocess
import sys
import time

import pytest
import torch

from dml_teach import checkpoint, experiments, runs, topology, trainer
from dml_teach.data import sets
from dml_teach.errors import ConfigError, RunError
from dml_teach.experiments import Arm, Cell, Experiment
from dml_teach.recipes import Recipe
from tests.resuming import Killed, assert_same

RECIPE = Recipe(name="test", epochs=2, batch_size=25, learning_rate=0.05, probe_images=50)
EACH_BY_THE_OTHERS_TWIN = ((0, 0, 0, 1), (0, 0, 1, 0), (0, 0, 0, 0), (0, 0, 0, 0))
PAIR = Arm("pair", ("small", "small"))
TAUGHT = Arm("taught", ("small", "small"), EACH_BY_THE_OTHERS_TWIN, {"temperature": 2.0}, teachers="pair")
MUTUAL = Arm("mutual", ("small", "small"), "mutual")
THREE = Arm("three", ("small", "small", "small"))
WIDE = Arm("wide", ("small",), options={"width": 24})
TAUGHT_BY_WIDE = Arm("taught-by-wide", ("small",), ((0, 1), (0, 0)), teachers="wide")


def experiment(*arms, epochs=2, **changes):
    return Experiment("tiny", "Does it run?", "bundled", RECIPE.with_(epochs=epochs), arms, subset=50, **changes)


def contents(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    out = tmp_path_factory.mktemp("tiny")
    asked = experiment(PAIR, TAUGHT, THREE)
    return asked, out, experiments.run(asked, out, seeds=(3, 4), workers=2, progress=False)


def test_each_arm_has_a_finished_run_for_each_seed_in_their_order(trained):
    _, out, results = trained
    assert list(results) == ["pair", "taught", "three"]
    for arm, finished in results.items():
        assert [run.config["seed"] for run in finished] == [3, 4]
        assert [run.folder for run in finished] == [out / arm / f"seed-{seed}" for seed in (3, 4)]
        assert all(run.test is not None and len(run.epochs) == 2 for run in finished)


def test_teachers_are_the_trained_networks_of_the_same_seed_and_stay_as_they_are(trained):
    _, _, results = trained
    for run, twins in zip(results["taught"], results["pair"], strict=True):
        assert run.learning == [0, 1] and run.config["recipe"]["temperature"] == 2
        assert run.config["topology"] == [list(row) for row in EACH_BY_THE_OTHERS_TWIN]
        for k in (0, 1):
            teacher, twin = run.weights(2 + k), twins.weights(k)
            assert all(torch.equal(teacher[name], value) for name, value in twin.items())


def test_the_first_peers_of_an_independent_cohort_are_a_smaller_independent_cohort(trained):
    _, _, results = trained
    for larger, smaller in zip(results["three"], results["pair"], strict=True):
        for k in (0, 1):
            one, other = larger.weights(k), smaller.weights(k)
            assert all(torch.equal(one[name], value) for name, value in other.items())
            assert larger.test["nll"][k] == smaller.test["nll"][k]


def test_a_finished_cell_is_not_run_again(trained, tmp_path):
    _, out, _ = trained
    before = contents(out / "pair")
    results = experiments.run(experiment(PAIR, MUTUAL), out, seeds=(3, 4), workers=1, progress=False)
    assert contents(out / "pair") == before
    assert all(run.test is not None for run in results["mutual"])


def test_an_unfinished_cell_goes_on_to_the_same_end(trained, stop_at, tmp_path):
    _, _, results = trained
    asked = experiment(PAIR)
    stop_at(4)  # of 2 steps an epoch
    with pytest.raises(Killed):
        experiments.train(asked, Cell(PAIR, 3), tmp_path)
    stop_at(0)
    begun = (tmp_path / "pair" / "seed-3" / "config.json").read_bytes()
    with pytest.raises(RunError, match=r"pair/seed-3 is not finished"):
        experiments.finished(asked, tmp_path, (3,))
    [run] = experiments.run(asked, tmp_path, seeds=(3,), workers=1, progress=False)["pair"]
    assert_same(run, results["pair"][0])
    assert (run.folder / "config.json").read_bytes() == begun


def test_networks_start_from_the_weights_that_a_cohort_of_that_seed_has_without_the_engine(trained, tmp_path):
    _, _, results = trained
    images, matrix = sets.load("bundled"), topology.independent(2)
    alone = trainer.fit(PAIR.peers, matrix, *images, RECIPE, seed=3, out=tmp_path, subset=50, progress=False)
    assert all(torch.equal(results["pair"][0].weights(1)[name], value) for name, value in alone.weights(1).items())


def test_options_of_an_arm_are_those_of_its_networks_as_learners_and_as_teachers(tmp_path):
    asked = experiment(WIDE, TAUGHT_BY_WIDE)
    for arm in asked.arms:
        experiments.train(asked, Cell(arm, 3), tmp_path)
    results = experiments.finished(asked, tmp_path, (3,))
    [wide], [student] = results["wide"], results["taught-by-wide"]
    options = [[peer["options"], peer["frozen"]] for run in (wide, student) for peer in run.config["peers"]]
    assert options == [[{"width": 24}, False], [{}, False], [{"width": 24}, True]]
    assert wide.weights(0)["head.weight"].shape == student.weights(1)["head.weight"].shape == (10, 96)
    assert student.weights(0)["head.weight"].shape == (10, 64)
    narrower = experiment(dataclasses.replace(WIDE, options={"width": 8}), TAUGHT_BY_WIDE)
    with pytest.raises(RunError, match=r"wide/seed-3 was trained with other settings: peers"):
        experiments.finished(narrower, tmp_path, (3,))


@pytest.mark.parametrize(
    ("arm", "changes", "at_fault"),
    [
        (PAIR, {"epochs": 3}, r"recipe\.epochs is 2, the experiment wants 3"),
        (dataclasses.replace(PAIR, changes={"temperature": 4.0}), {}, r"recipe\.temperature is 1\.0"),
        (dataclasses.replace(PAIR, topology="mutual"), {}, "topology"),
        (dataclasses.replace(PAIR, peers=("small", "resnet32")), {}, "peers"),
    ],
    ids=["epochs", "temperature", "topology", "peers"],
)
def test_a_run_with_other_settings_is_refused_and_kept(trained, arm, changes, at_fault):
    _, out, _ = trained
    before = contents(out)
    with pytest.raises(RunError, match=rf"pair/seed-3 was trained with other settings: {at_fault}"):
        experiments.run(experiment(arm, **changes), out, seeds=(3,))
    assert contents(out) == before


def test_a_recipe_may_get_new_fields_and_old_runs_stay(trained, tmp_path):
    _, out, _ = trained
    config = runs.load(out / "pair" / "seed-3").config
    del config["recipe"]["warmup_epochs"]
    older = dataclasses.replace(runs.load(out / "pair" / "seed-3"), config=config)
    experiments._require_settings(experiment(PAIR), Cell(PAIR, 3), older)
    warmed = dataclasses.replace(PAIR, changes={"warmup_epochs": 1.0})
    with pytest.raises(RunError, match=r"warmup_epochs is 0\.0"):
        experiments._require_settings(experiment(warmed), Cell(warmed, 3), older)


def test_what_a_run_left_that_was_killed_as_it_began_gives_way(tmp_path):
    place = tmp_path / "pair" / "seed-0"
    (place / "checkpoints").mkdir(parents=True)
    (place / "metrics.jsonl").touch()
    (place / ".config.json.0a1b2c3d.partial").write_text("half")
    assert not experiments.is_finished(experiment(PAIR), PAIR, 0, tmp_path)
    assert not place.exists()


def test_a_folder_of_something_else_is_refused_and_kept(tmp_path):
    place = tmp_path / "pair" / "seed-0"
    place.mkdir(parents=True)
    (place / "thesis.tex").write_text("years of work")
    with pytest.raises(RunError, match="seed-0 holds something that is no run"):
        experiments.run(experiment(PAIR), tmp_path, seeds=(0,))
    assert (place / "thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize(
    ("arms", "why"),
    [
        ((PAIR, PAIR), "two arms are called 'pair'"),
        ((TAUGHT, PAIR), "'taught' are of 'pair', which must be an arm before it"),
        ((dataclasses.replace(MUTUAL, every_size=True),), "needs independent peers"),
    ],
)
def test_an_experiment_that_can_not_be_run_is_refused_as_it_is_made(arms, why):
    with pytest.raises(ConfigError, match=why):
        experiment(*arms)


def test_a_matrix_that_leaves_the_teachers_out_is_refused(tmp_path):
    wrong = dataclasses.replace(TAUGHT, topology=((0, 1), (1, 0)))
    with pytest.raises(ConfigError, match="for 2 peers, but the cohort has 4"):
        experiment(PAIR, wrong).matrix(wrong)


PROGRAM = """
import sys
from dml_teach import experiments
from tests.test_experiments import PAIR, experiment
experiments.run(experiment(PAIR, epochs=5000), sys.argv[1], seeds=(0, 1), workers=1, progress=False)
"""


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_a_signal_to_the_parent_ends_the_workers_too_and_leaves_a_checkpoint(sent, tmp_path):
    metrics = tmp_path / "pair" / "seed-0" / "metrics.jsonl"
    parent = subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path)], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while not (metrics.exists() and metrics.read_text().count("\n") >= 2):
            assert parent.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
        parent.send_signal(sent)
        assert parent.wait(60) != 0
    finally:
        parent.kill()
    time.sleep(1)  # what a worker may take to see that its parent is gone
    found, ended = checkpoint.latest(metrics.parent / "checkpoints").step, metrics.read_bytes()
    time.sleep(1.5)
    assert metrics.read_bytes() == ended and found >= 2
    assert not (tmp_path / "pair" / "seed-1").exists()
