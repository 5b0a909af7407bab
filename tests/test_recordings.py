"""Recordings: what is written down of an experiment, what is made of it, and those that the book keeps."""

import copy
import dataclasses
import importlib
import json
import math
import shutil
import statistics
from pathlib import Path

import pytest
import torch

from dml_teach import comparison, experiments, joining, metrics, recordings, runs
from dml_teach import seeds as streams
from dml_teach.data import sets
from dml_teach.data.images import split
from dml_teach.errors import ConfigError, RunError
from dml_teach.evaluation import OF_RETRIEVAL, predict
from dml_teach.experiments import Arm, Cell, Experiment
from dml_teach.recipes import Recipe
from dml_teach.reproduce import measures
from dml_teach.trainer import trained_network

ROOT = Path(__file__).resolve().parents[1]
BOOK = ROOT / "book" / "recordings"
KEPT = [path for path in sorted(BOOK.glob("*.json")) if path.name != "demo.json"]  # which has a form of its own
FOLDERS = sorted(path.parent for path in BOOK.rglob("config.json"))
CPU = torch.device("cpu")
CURVES = ("top1", "mean_pairwise_kl")
OF_CLASSES = [name for name in recordings.METRICS if name.removeprefix("ensemble_") not in OF_RETRIEVAL]

EXPERIMENT = Experiment(
    "tiny",
    "Does it write?",
    "bundled",
    Recipe(name="test", epochs=2, batch_size=25, learning_rate=0.05, probe_images=50),
    (
        Arm("alone", ("small", "small", "small"), every_size=True),
        Arm("pair", ("small", "small")),
        Arm("mutual", ("small", "small"), "mutual", {"temperature": 2.0}),
        Arm("taught", ("small",), ((0, 0.5, 0.5), (0, 0, 0), (0, 0, 0)), teachers="pair"),
        Arm("taught-by-one", ("small",), ((0, 1), (0, 0)), teachers="pair", teaching=(1,)),
    ),
    subset=50,
)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    out = tmp_path_factory.mktemp("tiny")
    for seed in (0, 1):
        for arm in EXPERIMENT.arms:
            experiments.train(EXPERIMENT, Cell(arm, seed), out)
    return experiments.finished(EXPERIMENT, out, (0, 1))


@pytest.fixture(scope="module")
def recorded(results):
    return recordings.record(EXPERIMENT, results, curves=CURVES)


def test_an_arm_holds_the_test_line_of_each_seed_of_its_learners(recorded, results):
    for name in ("pair", "mutual", "taught"):
        entry = recordings.find_arm(recorded, name)
        for number, run in enumerate(results[name]):
            learners = range(len(run.learning))
            assert entry["top1"][number] == pytest.approx([run.test["top1"][k] for k in learners], abs=1e-6)
            assert entry["nll"][number] == pytest.approx([run.test["nll"][k] for k in learners], abs=1e-6)
            assert entry["ensemble_nll"][number] == pytest.approx(run.test["ensemble_nll"], abs=1e-6)
            assert entry["train_top1"][number] == pytest.approx(run.epochs[-1]["train_top1"][: len(learners)], abs=1e-6)
    taught = recordings.find_arm(recorded, "taught")
    assert [peer["frozen"] for peer in taught["peers"]] == [False, True, True]
    assert taught["mean_pairwise_kl"] == [None, None] and taught["teachers"] == "pair"


def test_an_independent_cohort_is_recorded_at_every_size_as_if_it_had_been_trained_so(recorded):
    names = [entry["name"] for entry in recorded["arms"]]
    assert names == ["alone-1", "alone-2", "alone-3", "pair", "mutual", "taught", "taught-by-one"]
    first_two, pair = recordings.find_arm(recorded, "alone-2"), recordings.find_arm(recorded, "pair")
    for metric in OF_CLASSES:
        assert torch.tensor(first_two[metric]) == pytest.approx(torch.tensor(pair[metric]), abs=1e-5), metric
    assert len(first_two["peers"]) == 2
    one = recordings.find_arm(recorded, "alone-1")
    assert one["ensemble_top1"] == [top1 for (top1,) in one["top1"]] and one["mean_agreement"] == [None, None]


def test_curves_are_means_over_the_peers_and_those_of_a_cohort_belong_to_the_whole_one(recorded, results):
    whole, part = (recordings.find_arm(recorded, name)["curves"] for name in ("alone-3", "alone-2"))
    assert list(whole) == list(CURVES) and list(part) == ["top1"]
    for number, run in enumerate(results["alone"]):
        for epoch, line in enumerate(run.epochs):
            assert whole["top1"][number][epoch] == pytest.approx(statistics.fmean(line["top1"]), abs=1e-5)
            assert part["top1"][number][epoch] == pytest.approx(statistics.fmean(line["top1"][:2]), abs=1e-5)
            assert whole["mean_pairwise_kl"][number][epoch] == pytest.approx(line["mean_pairwise_kl"], abs=1e-5)


def test_a_recording_reads_back_as_it_was_saved(recorded, tmp_path):
    recordings.save(tmp_path / "new" / "tiny.json", recorded)
    back = recordings.load(tmp_path / "new" / "tiny.json")
    assert back == json.loads(json.dumps(recorded))
    assert recordings.table(back) == recordings.table(recorded)


def test_the_table_has_means_deviations_and_differences_paired_by_seed(recorded):
    rows = {row.arm: row.values for row in recordings.table(recorded, baseline="pair")}
    pair, mutual = (recordings.find_arm(recorded, name)["nll"] for name in ("pair", "mutual"))
    base, method = [sum(seed) / 2 for seed in pair], [sum(seed) / 2 for seed in mutual]
    assert rows["mutual"]["nll"].mean == pytest.approx(sum(method) / 2)
    assert rows["mutual"]["nll"].deviation == pytest.approx(abs(method[0] - method[1]) / 2**0.5)
    assert rows["mutual"]["nll"].difference == comparison.paired(method, base)
    assert rows["pair"]["nll"].difference is None
    assert "mean_pairwise_kl" not in rows["taught"] and "mean_pairwise_kl" in rows["alone-3"]


@pytest.mark.parametrize("metric", OF_CLASSES)
def test_another_number_in_the_recording_gives_another_table(recorded, metric):
    changed = copy.deepcopy(recorded)
    values = recordings.find_arm(changed, "mutual")[metric]
    values[1] = [value + 0.01 for value in values[1]] if isinstance(values[1], list) else values[1] + 0.01
    assert recordings.table(changed) != recordings.table(recorded)


def test_a_name_that_is_not_there_is_refused_with_those_that_are(recorded):
    with pytest.raises(ConfigError, match="arm 'ring' is not recorded: choose one of alone-1, alone-2"):
        recordings.table(recorded, baseline="ring")
    with pytest.raises(ConfigError, match="arm 'pair' has no metric 'map'"):
        recordings.per_seed(recordings.find_arm(recorded, "pair"), "map")


def test_a_metric_of_one_peer_is_read_seed_by_seed():
    entry = {"name": "pair", "top1": [[0.5, 0.7], [0.6, 0.9]], "ensemble_top1": [0.8, 0.9]}
    assert recordings.per_seed(entry, "top1") == pytest.approx([0.6, 0.75])
    assert recordings.per_seed(entry, "top1", peer=1) == [0.7, 0.9]
    for metric, peer in (("top1", 2), ("top1", -1), ("ensemble_top1", 0)):
        with pytest.raises(ConfigError, match=f"arm 'pair' has no '{metric}' of a peer {peer}"):
            recordings.per_seed(entry, metric, peer=peer)


@pytest.mark.parametrize("content", [None, "{", "[]", '{"format": 0}'], ids=["missing", "torn", "a list", "format 0"])
def test_what_is_no_recording_is_refused(content, tmp_path):
    path = tmp_path / "tiny.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(RunError, match=r"tiny\.json"):
        recordings.load(path)


def test_runs_on_different_data_are_not_recorded_together(results):
    run = results["mutual"][1]
    other = dataclasses.replace(run, config={**run.config, "data": {**run.config["data"], "sha256": "0" * 64}})
    with pytest.raises(RunError, match=r"mutual/seed-1 has other data"):
        recordings.record(EXPERIMENT, {**results, "mutual": [results["mutual"][0], other]})


def altered(run, digest, **labels):
    """The run with other labels, as its settings and the digest of its data say."""
    recipe, data = {**run.config["recipe"], **labels}, {**run.config["data"], "sha256": digest}
    return dataclasses.replace(run, config={**run.config, "recipe": recipe, "data": data})


def test_wrong_labels_differ_from_seed_to_seed_and_not_from_arm_to_arm(results):
    def drawn(digests):
        return lambda run: altered(run, digests[run.config["seed"]], label_noise=0.4)

    noisy = {arm: list(map(drawn("ab"), of)) for arm, of in results.items()}
    assert recordings.record(EXPERIMENT, noisy)["data"]["sha256"] == ["a", "b"]
    swapped = list(map(drawn("ba"), results["mutual"]))
    with pytest.raises(RunError, match=r"mutual/seed-0 has other data"):
        recordings.record(EXPERIMENT, {**noisy, "mutual": swapped})


def test_an_arm_with_fewer_labels_has_a_digest_of_its_own(results):
    few = {**results, "mutual": [altered(run, "few", labelled=0.1) for run in results["mutual"]]}
    assert recordings.record(EXPERIMENT, few)["data"]["sha256"][1:] == ["few"]
    torn = {**few, "mutual": [few["mutual"][0], altered(results["mutual"][1], "other", labelled=0.1)]}
    with pytest.raises(RunError, match=r"mutual/seed-1 has other data"):
        recordings.record(EXPERIMENT, torn)


def test_networks_that_do_not_give_their_test_line_again_are_not_recorded(results):
    run = results["alone"][0]
    line = {**run.test, "nll": [value + 0.01 for value in run.test["nll"]]}
    other = dataclasses.replace(run, test=line)
    with pytest.raises(RunError, match="peer 0 has nll"):
        recordings.record(EXPERIMENT, {**results, "alone": [other, results["alone"][1]]})


def test_each_origin_is_named_once_with_its_runs(results):
    every = [*results["pair"], *results["mutual"]]
    [one] = recordings.provenances(every)
    assert one["runs"] == ["pair/seed-0", "pair/seed-1", "mutual/seed-0", "mutual/seed-1"]
    assert one["started"] == min(run.config["provenance"]["started"] for run in every)
    moved = {**every[3].config, "provenance": {**every[3].config["provenance"], "commit": "0" * 40}}
    first, second = recordings.provenances([*every[:3], dataclasses.replace(every[3], config=moved)])
    assert second["runs"] == ["mutual/seed-1"] and second["commit"] == "0" * 40 != first["commit"]
    assert first["runs"] == ["pair/seed-0", "pair/seed-1", "mutual/seed-0"]


def test_a_recorded_command_does_not_tell_where_folders_lie(results):
    run = results["pair"][0]
    told = {**run.config["provenance"], "command": "record.py small --data '/srv/my data/cifar' --out runs/new"}
    [one] = recordings.provenances([dataclasses.replace(run, config={**run.config, "provenance": told})])
    assert one["command"] == "record.py small --data cifar --out runs/new"


# --- seeds that are added ---


def part(results, *seeds):
    """The runs with these seeds."""
    return {arm: [run for run in of if run.config["seed"] in seeds] for arm, of in results.items()}


def as_read(recorded):
    """A recording as it is read from its file, its runs in the order of their names."""
    plain = json.loads(json.dumps(recorded))
    return plain | {"provenance": [origin | {"runs": sorted(origin["runs"])} for origin in plain["provenance"]]}


def test_seeds_that_are_added_give_the_recording_of_all_of_them(results, recorded, tmp_path):
    halves = [recordings.record(EXPERIMENT, part(results, seed), curves=CURVES) for seed in (0, 1)]
    recordings.save(tmp_path / "first.json", halves[0])
    assert as_read(joining.joined(*halves)) == as_read(recorded)
    read = joining.joined(recordings.load(tmp_path / "first.json"), halves[1])  # lists where the other has tuples
    assert as_read(read) == as_read(recorded)
    assert halves[0] == recordings.record(EXPERIMENT, part(results, 0), curves=CURVES)  # left as it was


def test_numbers_that_were_measured_of_each_seed_are_added_too(results):
    halves = [recordings.record(EXPERIMENT, part(results, seed)) for seed in (0, 1)]
    for half, value in zip(halves, (0.1, 0.2), strict=True):
        recordings.find_arm(half, "pair")["train_entropy"] = [[value, value]]
    assert recordings.find_arm(joining.joined(*halves), "pair")["train_entropy"] == [[0.1, 0.1], [0.2, 0.2]]
    del recordings.find_arm(halves[1], "pair")["train_entropy"]
    with pytest.raises(RunError, match="another method 'pair'"):
        joining.joined(*halves)


def test_a_recipe_from_before_a_field_is_that_with_its_default(results):
    first, second = (recordings.record(EXPERIMENT, part(results, seed)) for seed in (0, 1))
    del first["recipe"]["label_noise"]
    assert joining.joined(first, second)["seeds"] == [0, 1]


def test_a_recipe_with_a_field_that_is_not_known_is_refused_by_name(results):
    first, second = (recordings.record(EXPERIMENT, part(results, seed)) for seed in (0, 1))
    first["recipe"]["sharpness"] = 1
    with pytest.raises(RunError, match="'tiny' has 'sharpness' in its recipe"):
        joining.joined(first, second)


def test_wrong_labels_of_other_seeds_are_other_data_and_yet_joined(results):
    def drawn(run):
        return altered(run, "ab"[run.config["seed"]], label_noise=0.4)

    noisy = {arm: list(map(drawn, of)) for arm, of in results.items()}
    halves = [recordings.record(EXPERIMENT, part(noisy, seed)) for seed in (0, 1)]
    for half in halves:
        half["recipe"]["label_noise"] = 0.4
    assert joining.joined(*halves)["data"]["sha256"] == ["a", "b"]


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("experiment", lambda other: other.update(experiment="large")),
        ("question", lambda other: other.update(question="Is it well?")),
        ("recipe", lambda other: other["recipe"].update(epochs=3)),
        ("data", lambda other: other["data"].update(sha256="0" * 64)),
        ("data", lambda other: other["data"].update(test_images=3)),
        ("list of methods", lambda other: other["arms"].pop()),
        ("method 'mutual'", lambda other: recordings.find_arm(other, "mutual").update(changes={"temperature": 3.0})),
        ("method 'alone-3'", lambda other: recordings.find_arm(other, "alone-3")["curves"].pop("top1")),
    ],
)
def test_what_is_of_another_experiment_is_not_added(results, field, change):
    first, second = (recordings.record(EXPERIMENT, part(results, seed), curves=CURVES) for seed in (0, 1))
    change(second)
    with pytest.raises(RunError, match=f"recording 'tiny' can not be joined with one of another {field}"):
        joining.joined(first, second)


def test_a_seed_is_not_added_twice(recorded, results):
    with pytest.raises(RunError, match="'tiny' has seed 1 already"):
        joining.joined(recorded, recordings.record(EXPERIMENT, part(results, 1), curves=CURVES))


# --- the book's ---


@pytest.fixture(scope="module")
def tool():
    """tools/record.py as a module: tools/ is a folder of scripts, not a package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "tools")
        return importlib.import_module("record")


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.name)
def test_a_recording_of_the_book_is_of_the_experiment_that_the_tool_names(path, tool):
    kept, planned = recordings.load(path), tool.EXPERIMENTS[path.stem]
    asked, seeds = planned.experiment, len(kept["seeds"])
    assert kept["question"] == asked.question and kept["seeds"] == list(range(seeds)) and seeds <= planned.seeds
    assert kept["data"]["name"] == asked.data and kept["data"]["training_images"] == asked.subset
    assert kept["recipe"].items() <= vars(asked.recipe).items()
    names = [f"{arm.name}-{k + 1}" for arm in asked.arms if arm.every_size for k in range(len(arm.peers))]
    assert [entry["name"] for entry in kept["arms"]] == names + [arm.name for arm in asked.arms if not arm.every_size]
    wanted = OF_CLASSES
    if sets.FACTS[asked.data].retrieval:
        wanted = [name for name in recordings.METRICS if name not in OF_CLASSES or name == "train_top1"]
    assert all(len(entry[metric]) == seeds for entry in kept["arms"] for metric in wanted)
    named = sorted(name for origin in kept["provenance"] for name in origin["runs"])
    assert named == sorted(f"{arm.name}/seed-{seed}" for arm in asked.arms for seed in range(seeds))
    assert all(len(origin["commit"]) >= 40 for origin in kept["provenance"])


def test_the_tool_counts_what_an_experiment_costs_before_it_trains(tool, tmp_path, capsys):
    seeds = len(recordings.load(BOOK / "why.json")["seeds"]) + 2
    assert tool.main(["why", "--seeds", str(seeds), "--out", str(tmp_path), "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "11 methods x 2 seeds, 500 images" in shown and list(tmp_path.iterdir()) == []


@pytest.fixture
def tiny(tool, results, tmp_path, monkeypatch):
    """The tool with `EXPERIMENT` as its own, and a folder of recordings; the cells of seed 1 alone are in `out`."""
    monkeypatch.setitem(tool.EXPERIMENTS, "tiny", tool.Planned(EXPERIMENT, 2))
    monkeypatch.setattr(tool, "RECORDINGS", tmp_path)
    for arm, (_, run) in results.items():
        shutil.copytree(run.folder, tmp_path / "out" / "tiny" / arm / "seed-1")
    recordings.save(tmp_path / "tiny.json", recordings.record(EXPERIMENT, part(results, 0), curves=tool.CURVES))
    return tool


def test_the_tool_trains_no_seed_that_is_recorded_and_adds_the_others(tiny, results, tmp_path, capsys):
    call = ["tiny", "--out", str(tmp_path / "out")]
    assert tiny.main([*call, "--dry-run"]) == 0
    assert "has 1 seeds; to be added: 1" in (shown := capsys.readouterr().out) and "5 methods x 1 seeds" in shown
    assert tiny.main(call) == 0
    assert {path.name for path in (tmp_path / "out" / "tiny").glob("*/*")} == {"seed-1"}
    whole = recordings.record(EXPERIMENT, results, curves=tiny.CURVES)
    assert as_read(recordings.load(tmp_path / "tiny.json")) == as_read(whole)
    written = (tmp_path / "tiny.json").read_bytes()
    assert tiny.main(call) == 0 and "to be added: 0" in capsys.readouterr().out
    assert (tmp_path / "tiny.json").read_bytes() == written


def test_no_seeds_are_no_request(tool, capsys):
    with pytest.raises(SystemExit):
        tool.main(["why", "--seeds", "0"])
    assert "--seeds: at least 1" in capsys.readouterr().err


@pytest.mark.parametrize("field", ["question", "recipe"])
def test_the_tool_trains_nothing_for_a_recording_that_it_could_not_add_to(field, tiny, tmp_path, capsys):
    recorded = recordings.load(tmp_path / "tiny.json")
    changed = {"question": "Another?", "recipe": {**recorded["recipe"], "epochs": 3}}
    recorded[field] = changed[field]
    recordings.save(tmp_path / "tiny.json", recorded)
    shutil.rmtree(tmp_path / "out")
    assert tiny.main(["tiny", "--out", str(tmp_path / "out")]) == 2
    assert f"tiny.json is of another {field}; move it away" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_what_is_measured_of_two_networks_is_what_a_loop_over_the_images_finds(results):
    """Of a student, whose teacher is the second network, and of a pair."""
    training, _ = split(sets.load("bundled")[0], 50, 50)
    _, test = sets.load("bundled")
    for run, learners in ((results["taught-by-one"][0], 1), (results["mutual"][0], 2)):
        found = measures.of_pair(run, None, CPU)
        assert {len(values) for values in found.values()} == {learners}
        for k in range(learners):
            networks = [trained_network(run, peer) for peer in (k, 1 - k)]
            p, q = (predict(network, training, CPU).double().softmax(1) for network in networks)
            own = [-math.log(p[i, label]) for i, label in enumerate(training.labels)]
            assert found["train_nll"][k] == pytest.approx(statistics.fmean(own), rel=1e-4)
            assert found["divergence"][k] == pytest.approx(mean_kl(q, p), rel=1e-3, abs=1e-6)
            p, q = (predict(network, test, CPU).double().softmax(1) for network in networks)
            doubt = [-math.fsum(x * math.log(x) for x in row if x > 0) for row in p.tolist()]
            assert found["test_entropy"][k] == pytest.approx(statistics.fmean(doubt), rel=1e-4)
            assert found["test_divergence"][k] == pytest.approx(mean_kl(q, p), rel=1e-3, abs=1e-6)


def mean_kl(q, p) -> float:
    """Mean over the images of D_KL(q || p), image by image: two (N, C) in double precision."""
    return statistics.fmean(float((q[i] * (q[i] / p[i]).log()).sum()) for i in range(len(p)))


def test_the_rise_under_fixed_noise_is_that_of_networks_shaken_by_hand(results):
    run = results["mutual"][0]
    training, _ = split(sets.load("bundled")[0], 50, 50)
    network, chance = trained_network(run, 1), streams.generator(0, "fixed noise", 1)
    plain = metrics.nll(predict(network, training, CPU), training.labels).item()
    shaken = []
    for _ in range(measures.DRAWS):
        copied = copy.deepcopy(network)
        noise = [measures.FIXED_NOISE * torch.randn(w.shape, generator=chance) for w in network.parameters()]
        with torch.no_grad():
            for w, e in zip(copied.parameters(), noise, strict=True):
                w += e
        shaken.append(metrics.nll(predict(copied, training, CPU), training.labels).item())
    found = measures.of_pair(run, None, CPU)["rise_fixed"][1]
    assert found == pytest.approx(statistics.fmean(shaken) - plain, abs=1e-6)
    assert found != 0


def test_the_recording_of_why_has_each_measure_of_each_learner():
    recorded = recordings.load(BOOK / "why.json")
    wanted = ("train_entropy", "train_favourite", "rise_0.1", "train_nll", "test_entropy", "divergence")
    wanted += ("test_divergence", "rise_fixed")
    for entry in recorded["arms"]:
        shapes = {name: [len(values) for values in entry[name]] for name in ("top1", *wanted)}
        assert all(shape == shapes["top1"] for shape in shapes.values()), entry["name"]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.relative_to(BOOK).as_posix())
def test_a_run_folder_of_the_book_reads_and_its_posteriors_are_those_of_its_metrics(folder):
    run = runs.load(folder)
    assert run.test is not None and run.probe.images is not None and not (folder / "weights").exists()
    assert run.posteriors.shape[:3] == (len(run.epochs), len(run.peers), len(run.probe.labels))
    logits = run.posteriors.log()
    for epoch in (0, len(run.epochs) - 1):
        line = run.epochs[epoch]
        assert metrics.top1(logits[epoch], run.probe.labels).tolist() == pytest.approx(line["top1"])
        assert metrics.agreement(logits[epoch]).tolist() == [pytest.approx(row) for row in line["agreement"]]
