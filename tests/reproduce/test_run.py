"""Every target, trained at smoke scale: its table holds what its runs found, and nothing is trained twice."""

import math
import re
import statistics

import pytest
import torch
from torch import nn

from dml_teach import models, published, recordings, reproduce
from dml_teach.analysis.flatness import standard_noise
from dml_teach.cli import main
from dml_teach.data import bundled, sets
from dml_teach.data.images import split
from dml_teach.experiments import Arm
from dml_teach.reproduce import cost, measures, table, targets
from dml_teach.reproduce.targets import Line, Source
from dml_teach.trainer import trained_network

NUMBERS = published.read()


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("reproduce")


def run(target, out, **changes):
    return reproduce.run(target, "smoke", out=out, workers=2, progress=False, **changes)


def recorded(target, out):
    return recordings.load(out / f"{target}-smoke.json")


@pytest.mark.parametrize("target", targets.TARGETS)
def test_each_target_runs_and_sets_paper_others_and_ours_side_by_side(target, out):
    result = run(target, out)
    plan = targets.plan(target, "smoke")
    page = result.path.read_text()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("|")]
    assert tuple(rows[0]) == table.HEAD and len(rows) == 2 + len(plan.lines)
    for line, row in zip(plan.lines, rows[2:], strict=True):
        assert (row[5] == "not run") == (line.ours is None)
        assert bool(re.fullmatch("[−+][0-9.]+", row[6])) == (line.baseline is not None)
    assert all(row[0] in result.text for row in rows[2:])


def test_a_finished_run_is_not_trained_again_and_serves_other_targets(out):
    run("table2", out)
    before = {path: path.stat().st_mtime_ns for path in out.glob("pairs-smoke/*/*/metrics.jsonl")}
    run("table2", out)
    run("fig3", out)  # its two arms are among those of table 2
    assert {path: path.stat().st_mtime_ns for path in out.glob("pairs-smoke/*/*/metrics.jsonl")} == before


def test_another_seed_is_added_to_those_there_are(tmp_path):
    run("fig3", tmp_path)
    one = recorded("fig3", tmp_path)
    result = run("fig3", tmp_path, seeds=2)
    two = recorded("fig3", tmp_path)
    assert (one["seeds"], two["seeds"]) == ([0], [0, 1])
    assert [arm["top1"][0] for arm in one["arms"]] == [arm["top1"][0] for arm in two["arms"]]
    assert "±" in result.text


def test_dml_e_trains_like_the_mean_and_the_sum_does_not(out):
    run("fig4", out)
    by = {arm["name"].partition("-")[0]: arm["nll"][0] for arm in recorded("fig4", out)["arms"]}
    assert by["dml_e"] == pytest.approx(by["mutual"], abs=1e-4)
    assert by["summed"] != pytest.approx(by["mutual"], abs=1e-4)


def test_the_measures_are_those_of_the_trained_networks_on_their_training_images(out):
    run("fig3", out)
    arm = recorded("fig3", out)["arms"][0]
    run_of_it = recordings_run(out, arm["name"])
    images, _ = split(bundled.load("train"), 50, 100)
    for k in (0, 1):
        network = trained_network(run_of_it, k).eval()
        x = (images.images.float() / 255 - torch.tensor(images.mean).view(-1, 1, 1)) / torch.tensor(images.std).view(
            -1, 1, 1
        )
        with torch.no_grad():
            p = network(x).double().softmax(dim=1)
        entropy = -(p * p.log()).sum(dim=1).mean().item()
        assert arm["train_entropy"][0][k] == pytest.approx(entropy, abs=1e-4)
        assert arm["train_favourite"][0][k] == pytest.approx(p.max(dim=1).values.mean().item(), abs=1e-4)


def recordings_run(out, arm):
    from dml_teach import runs

    return runs.load(out / "pairs-smoke" / arm / "seed-0")


def test_noise_is_paired_between_the_arms(out, monkeypatch):
    """The same peer of two arms is shaken in the same directions."""
    run("fig3", out)
    seen = []

    def watch(w, generator):
        seen.append(generator.get_state().sum().item())
        return standard_noise(w, generator)

    monkeypatch.setattr("dml_teach.analysis.flatness.standard_noise", watch)
    told = []
    for arm in recorded("fig3", out)["arms"]:
        measures.of_run(recordings_run(out, arm["name"]), None, torch.device("cpu"))
        told.append(list(seen))
        seen.clear()
    assert told[0] == told[1] and len(told[0]) > 2


# --- the table ---


def recording(**of):
    """A recording of two seeds of pairs: `alone` and `mutual`, and two distillations."""
    arms = {
        "alone": ([[0.5, 0.7], [0.6, 0.8]], [0.75, 0.85]),
        "mutual": ([[0.55, 0.7], [0.7, 0.8]], [0.7, 0.8]),
        "t1": ([[0.9], [0.9]], [None, None]),
        "t2": ([[0.1], [0.2]], [None, None]),
    }
    held_out = {"alone": 0.5, "mutual": 0.5, "t1": 0.3, "t2": 0.4} | of
    return {
        "arms": [
            {
                "name": name,
                "top1": top1,
                "ensemble_top1": ensemble,
                "changes": {"temperature": float(name[1:]) if name[0] == "t" else 1.0},
                "curves": {"top1": [[0.9, held_out[name]]] * 2},
            }
            for name, (top1, ensemble) in arms.items()
        ]
    }


def line(ours, baseline=None, setting="mutual", of="mean", networks="ResNet-32 + ResNet-32"):
    return Line("CIFAR-100", "top-1 %", networks, setting, of, "top1", ours, baseline)


def row(one, found=None):
    plan = targets.Plan("a title", None, (one,))
    return [cell.replace("\u00a0", " ") for cell in table.rows(plan, found or recording(), NUMBERS)[0]]


def test_a_row_is_mean_and_deviation_over_the_seeds_and_the_paired_difference():
    differences = [100 * ((0.55 + 0.7) / 2 - 0.6), 100 * (0.75 - 0.7)]
    half = 12.7062 * statistics.stdev(differences) / math.sqrt(2)  # Student's t, one degree of freedom
    assert row(line(Source(("mutual",)), Source(("alone",))))[5:] == [
        f"68.75 ± {100 * statistics.stdev([0.625, 0.75]):.2f}",
        f"+{statistics.fmean(differences):.2f} ± {half:.2f}",
        "2/2",
    ]


def test_one_peer_and_the_ensemble_have_numbers_of_their_own():
    assert row(line(Source(("alone",), peer=1), of="net 2"))[5] == "75.00 ± 7.07"
    assert row(line(Source(("alone",), ensemble=True), of="ensemble"))[5] == "80.00 ± 7.07"


def test_the_tuned_arm_is_chosen_on_held_out_images_whatever_the_test_says():
    tuned = line(Source(("t1", "t2"), 0), setting="distilled, T tuned", of="net 2")
    assert row(tuned)[1] == "distilled, T = 2 of 1, 2, 4" and row(tuned)[5] == "15.00 ± 7.07"
    assert row(tuned, recording(t1=0.5))[1] == "distilled, T = 1 of 1, 2, 4"


def test_a_changed_recording_changes_the_row():
    changed = recording()
    changed["arms"][1]["top1"][0] = [0.0, 0.0]
    assert row(line(Source(("mutual",))))[5] != row(line(Source(("mutual",))), changed)[5]


@pytest.mark.parametrize(
    ("one", "paper", "others"),
    [
        (line(None), "71.19 / 70.75", "70.95 ± 0.26"),  # of several, whoever ran several seeds
        (line(None, networks="MobileNet + ResNet-32", of="net 2"), "71.10", "70.73 ± 0.64"),
        (line(None, networks="WRN-28-10 + WRN-28-10", of="ensemble"), "", "81.00 ± 0.21"),
        (line(None, setting="summed"), "", ""),
    ],
)
def test_published_numbers_stand_beside_their_line(one, paper, others):
    assert row(one)[3:6] == [paper, others, "not run"]


# --- what it costs ---


def test_arithmetic_is_that_of_the_layers():
    """Two for each multiplication with its addition, counted layer by layer with hooks."""
    facts = sets.FACTS["cifar100"]
    network = models.build("resnet32").eval()
    counted = []

    def count(module, inputs, output):
        if isinstance(module, nn.Conv2d):
            taps = module.in_channels * module.kernel_size[0] * module.kernel_size[1]
            counted.append(2 * output.numel() * taps)
        else:
            counted.append(2 * module.in_features * module.out_features)

    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.register_forward_hook(count)
    with torch.no_grad():
        network(torch.zeros(1, 3, 32, 32))
    assert cost.training_flops("resnet32", {}, facts) == 3 * sum(counted)  # a backward pass is twice its forward pass


def test_the_plan_counts_what_is_finished_and_writes_nothing(out, tmp_path):
    run("fig3", out)
    files = sorted(out.rglob("*"))
    text = reproduce.describe("fig3", "smoke", seeds=2, out=out)
    assert sorted(out.rglob("*")) == files
    assert re.search(r"independent-resnet32-x2 +2 +[\d.]+ +1/2", text)
    assert "at that speed" in text and "2 methods x 2 seeds, 100 images of bundled, 2 epochs" in text
    assert "no σ of ours" in text
    assert reproduce.describe("table2", "paper", out=tmp_path / "new") and not (tmp_path / "new").exists()


def test_a_student_costs_its_teachers_forward_passes():
    plan = targets.plan("table4", "paper")
    facts = sets.FACTS["cifar100"]
    arm: Arm = next(arm for arm in plan.experiment.arms if arm.teachers == "independent-wrn2810-x2")
    student, teacher = (cost.training_flops(name, {}, facts) for name in ("resnet32", "wrn28_10"))
    assert cost.tflop(plan.experiment, arm) == pytest.approx(200 * 49_500 * (student + teacher / 3) / 1e12)


def test_the_command_prints_the_table_and_names_the_file(tmp_path, capsys):
    assert main(["reproduce", "table1", "--out", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "470,004" in shown and str(tmp_path / "table1-classroom.md") in shown
    assert main(["reproduce", "table2", "--scale", "paper", "--dry-run", "--out", str(tmp_path)]) == 0
    assert "9 methods x 5 seeds, 49500 images of cifar100" in capsys.readouterr().out


def test_a_file_in_the_way_is_reported_in_a_line(tmp_path, capsys):
    (tmp_path / "taken").write_text("")
    assert main(["reproduce", "table1", "--out", str(tmp_path / "taken")]) == 2
    assert "choose another --out" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["taken"]
