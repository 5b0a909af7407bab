"""Which runs there are, and how they compare."""

import json
import shutil
import statistics

import pytest

from dml_teach import overview, runs, topology
from dml_teach.cli import main
from dml_teach.comparison import paired
from dml_teach.errors import ConfigError
from dml_teach.overview import against, text
from dml_teach.recipes import Recipe
from dml_teach.trainer import fit
from tests.conftest import striped

RECIPE = Recipe(name="test", epochs=1, batch_size=20, learning_rate=0.05, probe_images=30)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Runs with seeds 0 to 2 of independent peers, and with seeds 1 to 3 of mutual ones."""
    root = tmp_path_factory.mktemp("trained")
    for name, seeds in (("independent", (0, 1, 2)), ("mutual", (1, 2, 3))):
        for seed in seeds:
            fit(
                ["small", "small"], topology.by_name(name, 2), striped(90, seed=1), striped(45, seed=2), RECIPE,
                seed=seed, out=root / name / f"seed-{seed}", device="cpu", progress=False, checkpoint_seconds=None,
            )  # fmt: skip
    return root


@pytest.fixture
def place(trained, tmp_path, monkeypatch):
    """A copy of these runs in runs/, which is where the command looks."""
    monkeypatch.chdir(tmp_path)
    return shutil.copytree(trained, tmp_path / "runs")


def change_config(folder, *fields, value):
    config = json.loads((folder / "config.json").read_text())
    part = config
    for field in fields[:-1]:
        part = part[field]
    part[fields[-1]] = value
    (folder / "config.json").write_text(json.dumps(config))


def cut_short(folder):
    """Leave the run as it was before the test set was read."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    (folder / "metrics.jsonl").write_text(lines[0] + "\n")


def grouped(folder):
    return overview.groups(overview.search([folder])[0])


def means(folder, metric):
    """The slow way to what the overview says, by seed."""
    found = {}
    for run in runs.find(folder):
        value = run.test[metric]
        found[run.config["seed"]] = statistics.fmean(value) if isinstance(value, list) else value
    return found


# --- groups ---


def test_runs_that_differ_only_in_the_seed_are_one_group(place):
    assert [[entry.seed for entry in group] for group in grouped(place)] == [[0, 1, 2], [1, 2, 3]]


@pytest.mark.parametrize(
    ("fields", "value"),
    [(("recipe", "learning_rate"), 0.1), (("recipe", "epochs"), 2), (("data", "training_images"), 59)],
)
def test_a_run_with_another_setting_is_no_part_of_the_group(place, fields, value):
    change_config(place / "mutual" / "seed-2", *fields, value=value)
    assert [[entry.seed for entry in group] for group in grouped(place / "mutual")] == [[1, 3], [2]]


def test_another_commit_or_processor_does_not_divide_a_group(place):
    change_config(place / "mutual" / "seed-2", "provenance", "commit", value="0123")
    assert len(grouped(place / "mutual")) == 1


def test_a_seed_that_was_run_twice_counts_once_in_a_group(place):
    shutil.copytree(place / "mutual" / "seed-1", place / "mutual" / "again")
    assert [[entry.seed for entry in group] for group in grouped(place / "mutual")] == [[1, 2, 3], [1]]


def test_a_run_that_is_found_twice_is_listed_once(place):
    entries, _ = overview.search([place, place / "mutual", place / "mutual" / ".." / "mutual"])
    assert len(entries) == 6


def test_a_groups_mean_and_deviation_are_over_the_seeds(place):
    group = grouped(place / "mutual")[0]
    for metric in overview.OF_CLASSES:
        values = list(means(place / "mutual", metric).values())
        assert overview.spread(group, metric) == pytest.approx((statistics.fmean(values), statistics.stdev(values)))
    assert overview.spread(group[:1], "nll")[1] is None


def test_a_run_from_before_a_setting_existed_has_its_default(place):
    config = json.loads((place / "mutual" / "seed-1" / "config.json").read_text())
    del config["recipe"]["order"]
    (place / "mutual" / "seed-1" / "config.json").write_text(json.dumps(config))
    assert len(grouped(place / "mutual")) == 1


# --- words ---


@pytest.mark.parametrize("peers", [2, 3, 5])
@pytest.mark.parametrize("name", ["independent", "mutual", "one-way", "ring"])
def test_a_topology_is_known_by_its_matrix(name, peers):
    matrix = topology.by_name(name, peers).tolist()
    known = {"ring": "mutual"}.get(name, name) if peers == 2 else name  # two peers in a ring teach each other
    assert overview.topology_in_words(matrix, range(peers)) == known


def test_any_other_topology_is_custom_and_a_single_peer_independent():
    assert overview.topology_in_words([[0, 0.7, 0.3], [1, 0, 0], [1, 0, 0]], range(3)) == "custom"
    assert overview.topology_in_words([[0]], [0]) == "independent"


def test_the_row_of_a_frozen_peer_does_not_count():
    assert overview.topology_in_words([[0, 1], [1, 0]], learning=[1]) == "one-way"


@pytest.mark.parametrize(
    ("peers", "words"),
    [
        ("small", "small"),
        ("small small small", "3 small"),
        ("small resnet32", "small, resnet32"),
        ("*small small small", "1 frozen small, 2 small"),
    ],
)
def test_peers_are_counted(peers, words):
    listed = [{"network": name.strip("*"), "frozen": name.startswith("*")} for name in peers.split()]
    assert overview.peers_in_words(listed) == words


# --- the table ---


def test_the_table_says_once_what_all_share_and_gives_each_group_a_row(place):
    lines = text.overview(grouped(place)).splitlines()
    assert lines[0] == "all: data striped, 60 images; peers 2 small"
    assert lines[2].split()[:3] == ["folder", "topology", "seeds"]
    mean, deviation = overview.spread(grouped(place / "independent")[0], "top1")
    assert "independent" in lines[4] and f" {100 * mean:.2f} ± {100 * deviation:.2f} " in lines[4]
    assert "seed-* " in lines[5] and " mutual " in lines[5] and " 1-3 " in lines[5] and " 1/1 " in lines[5]


def test_what_is_unusual_or_tells_groups_apart_is_shown(place):
    assert "settings" not in text.overview(grouped(place))
    for seed in (1, 2, 3):
        for field, value in (("temperature", 2.0), ("order", "sequential"), ("learning_rate", 0.1)):
            change_config(place / "mutual" / f"seed-{seed}", "recipe", field, value=value)
    assert "order sequential, temperature 2.0, learning_rate 0.1" in text.overview(grouped(place))
    alone = text.overview(grouped(place / "mutual"))
    assert "settings order sequential, temperature 2.0" in alone and "learning_rate" not in alone


def test_a_run_that_is_not_finished_is_listed_with_its_epoch_and_without_results(place):
    change_config(place / "mutual" / "seed-3", "recipe", "epochs", value=7)
    cut_short(place / "mutual" / "seed-3")
    (row,) = [line for line in text.overview(grouped(place)).splitlines() if "seed-3 " in line]
    assert row.split()[-5:] == ["1/7", "-", "-", "-", "-"]
    assert f"dml-teach resume {place / 'mutual' / 'seed-3'}" in text.overview(grouped(place))


# --- against a baseline ---


def compared(place):
    entries, baseline = (overview.search([place / name])[0] for name in ("mutual", "independent"))
    return against.against(entries, baseline)


@pytest.mark.parametrize("metric", overview.OF_CLASSES)
def test_a_comparison_pairs_the_seeds_that_both_have(place, metric):
    (found,), _ = compared(place)
    ours, theirs = means(place / "mutual", metric), means(place / "independent", metric)
    slow = paired([ours[1], ours[2]], [theirs[1], theirs[2]])
    assert found.differences[metric][:2] == pytest.approx(slow[:2]) and found.differences[metric].seeds == 2
    better = (lambda a, b: a < b) if metric.endswith("nll") else (lambda a, b: a > b)
    assert found.differences[metric].won == sum(better(ours[seed], theirs[seed]) for seed in (1, 2))
    assert found.alone == ([0], [3])


def test_what_differs_is_named_and_nothing_else(place):
    (found,), _ = compared(place)
    assert found.differs == {"topology": ("independent", "mutual")} and found.warnings == []


@pytest.mark.parametrize(
    ("fields", "value", "says"),
    [
        (("recipe", "epochs"), 9, "epochs: 1 -> 9"),
        (("data", "training_images"), 30, "data.training_images: 60 -> 30"),
        (("data", "sha256"), "abc", "data.sha256"),
    ],
)
def test_a_comparison_of_unequal_effort_is_doubted(place, fields, value, says):
    for seed in (1, 2, 3):
        change_config(place / "mutual" / f"seed-{seed}", *fields, value=value)
    (found,), _ = compared(place)
    assert len(found.warnings) == 1 and says in found.warnings[0]
    assert says.partition(":")[0] in found.differs


@pytest.mark.parametrize(("field", "value"), [("name", "cifar100"), ("test_images", 46), ("class_names", ["x"])])
def test_runs_on_other_data_are_not_compared(place, field, value):
    for seed in (1, 2, 3):
        change_config(place / "mutual" / f"seed-{seed}", "data", field, value=value)
    with pytest.raises(ConfigError, match=f"other data .*data.{field}"):
        compared(place)


def test_a_group_that_can_not_be_compared_does_not_stop_the_others(place):
    change_config(place / "mutual" / "seed-1", "data", "name", value="cifar100")
    found, left_out = compared(place)
    assert [each.alone for each in found] == [([0, 1], [3])]
    assert len(left_out) == 1 and "seed-1 has other data" in left_out[0]


def test_a_run_that_is_not_finished_is_left_out_by_name(place):
    cut_short(place / "mutual" / "seed-1")
    (found,), left_out = compared(place)
    assert found.differences["top1"].seeds == 1 and left_out == [f"{place / 'mutual' / 'seed-1'} is not finished"]


def test_groups_with_no_seed_in_common_are_not_compared(place):
    shutil.rmtree(place / "mutual" / "seed-1")
    shutil.rmtree(place / "mutual" / "seed-2")
    with pytest.raises(ConfigError, match=r"has seeds 3, the baseline 0-2: none in common"):
        compared(place)


def test_the_baseline_must_be_one_group(place):
    entries = overview.search([place])[0]
    with pytest.raises(ConfigError, match=r"independent.*; .*mutual"):
        against.against(entries, entries)
    with pytest.raises(ConfigError, match="none that is finished"):
        against.against(entries, [])


def test_other_versions_are_named_beside_the_settings(place):
    for seed in (1, 2, 3):
        change_config(place / "mutual" / f"seed-{seed}", "provenance", "versions", value={"torch": "1.0"})
    (found,), _ = compared(place)
    assert found.differs["torch"][1] == "1.0"


# --- the command ---


def test_runs_lists_what_lies_in_runs(place, capsys):
    assert main(["runs"]) == 0
    listed = capsys.readouterr()
    assert "runs/mutual/seed-*" in listed.out.replace("\\", "/") and listed.err == ""
    assert main(["runs", "--each", str(place / "mutual")]) == 0
    listed = capsys.readouterr().out
    assert all(f"seed-{seed} " in listed for seed in (1, 2, 3)) and "±" not in listed


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "config.json").write_text("{}"),
        lambda folder: (folder / "config.json").write_text("{"),
        lambda folder: (folder / "config.json").write_text('{"format": 1}'),
        lambda folder: (folder / "metrics.jsonl").write_text("[1]\n"),
        lambda folder: (folder / "metrics.jsonl").unlink(),
        lambda folder: (folder / "metrics.jsonl").write_text('{"split": "test", "top1": 3}\n'),
        lambda folder: change_config(folder, "recipe", "colour", value="red"),
        lambda folder: change_config(folder, "topology", value=[[2]]),
        lambda folder: change_config(folder, "peers", value=[]),
    ],
)
def test_a_damaged_or_foreign_folder_is_named_in_a_line_and_skipped(place, damage, capsys):
    damage(place / "mutual" / "seed-2")
    assert main(["runs", "--json"]) == 0
    printed = capsys.readouterr()
    assert sum(len(group["runs"]) for group in json.loads(printed.out)) == 5
    assert printed.err.startswith("dml-teach: warning: skipped: ") and printed.err.count("\n") == 1
    assert str(place / "mutual" / "seed-2").removeprefix(str(place)) in printed.err


def test_no_runs_says_how_to_make_some(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for arguments in (["runs"], ["runs", str(tmp_path)]):
        assert main(arguments) == 0
        assert "dml-teach train" in capsys.readouterr().out


def test_json_holds_what_the_table_holds(place, capsys):
    assert main(["runs", "--json"]) == 0
    independent, mutual = json.loads(capsys.readouterr().out)
    assert [run["seed"] for run in independent["runs"]] == [0, 1, 2] and mutual["topology"] == "mutual"
    assert mutual["test"]["nll"][0] == pytest.approx(statistics.fmean(means(place / "mutual", "nll").values()))
    assert mutual["runs"][0]["test"]["ensemble_top1"] == means(place / "mutual", "ensemble_top1")[1]


def test_against_prints_differences_and_what_differs(place, capsys):
    assert main(["runs", "--against", str(place / "independent")]) == 0
    printed = capsys.readouterr().out
    for words in (
        "topology: independent -> mutual",
        "run without a partner: seed 3",
        "baseline without a partner: seed 0",
    ):
        assert words in printed
    ours, theirs = means(place / "mutual", "top1"), means(place / "independent", "top1")
    difference = paired([ours[1], ours[2]], [theirs[1], theirs[2]])
    assert f"{100 * difference.difference:+.2f} ± {100 * difference.half_width:.2f}  {difference.won}/2" in printed


def test_against_as_json_has_null_where_one_seed_has_no_interval(place, capsys):
    shutil.rmtree(place / "mutual" / "seed-2")
    assert main(["runs", "--against", str(place / "independent"), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["comparisons"]
    ours, theirs = means(place / "mutual", "nll")[1], means(place / "independent", "nll")[1]
    assert found["differences"]["nll"]["difference"] == pytest.approx(ours - theirs)
    assert found["differences"]["nll"]["half_width"] is None
    assert found["seeds_without_partner"] == {"baseline": [0, 2], "run": [3]}


def test_against_warns_on_stderr(place, capsys):
    for seed in (1, 2, 3):
        change_config(place / "mutual" / f"seed-{seed}", "recipe", "epochs", value=9)
    assert main(["runs", str(place / "mutual"), "--against", str(place / "independent")]) == 0
    error = capsys.readouterr().err
    assert error.startswith("dml-teach: warning: ") and "epochs: 1 -> 9" in error and error.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [["runs", "nowhere"], ["runs", "--against", "nowhere"], ["runs", "--each", "--against", "runs"]]
)
def test_wrong_arguments_are_one_line(place, arguments, capsys):
    assert main(arguments) == 2
    assert capsys.readouterr().err.count("\n") == 1
