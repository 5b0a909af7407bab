"""The demo: its settings, its table and its report."""

import re

import pytest
import torch

from dml_teach import demo, report, runs
from dml_teach.cli import main
from dml_teach.demo import BASELINE, LABELLED, SETTINGS, Setting


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo")
    assert main(["demo", "--out", str(out), "--seeds", "2", "--epochs", "2", "--workers", "2"]) == 0
    return out, {setting: [runs.load(demo.folder(out, setting, seed)) for seed in (0, 1)] for setting in SETTINGS}


def test_students_are_taught_by_the_other_ones_finished_twin(finished):
    _, results = finished
    for run, twins in zip(results[Setting("distilled", 2)], results[BASELINE], strict=True):
        assert run.learning == [0, 1] and run.config["topology"] == [[0, 0, 0, 1], [0, 0, 1, 0], [0] * 4, [0] * 4]
        for student in (0, 1):
            teacher = 2 + student
            assert all(torch.equal(run.weights(teacher)[name], value) for name, value in twins.weights(student).items())


def test_settings_differ_in_who_teaches_and_in_temperature_alone(finished):
    _, results = finished
    for setting, finished_runs in results.items():
        for run, base in zip(finished_runs, results[BASELINE], strict=True):
            recipe = {**run.config["recipe"], "temperature": None}
            assert recipe == {**base.config["recipe"], "temperature": None}
            assert run.config["recipe"]["temperature"] == setting.temperature
            assert run.config["seed"] == base.config["seed"] and run.config["data"] == base.config["data"]


def test_the_table_is_made_of_the_runs_test_lines(finished):
    _, results = finished
    for row in demo.table(demo.record(results)):
        setting, single = LABELLED[row.arm], row.values["top1"]
        tops = [sum(run.test["top1"][:2]) / 2 for run in results[setting]]
        base = [sum(run.test["top1"][:2]) / 2 for run in results[BASELINE]]
        together = [run.test["ensemble_top1"] for run in results[setting]]
        assert single.mean == pytest.approx(sum(tops) / 2)
        assert row.values["ensemble_top1"].mean == pytest.approx(sum(together) / 2)
        if setting == BASELINE:
            assert single.difference is None and row.values["nll"].difference is None
        else:
            assert single.difference.difference == pytest.approx(sum(tops) / 2 - sum(base) / 2)


def test_results_do_not_depend_on_the_number_of_workers(finished, tmp_path):
    _, results = finished
    assert main(["demo", "--out", str(tmp_path / "d"), "--seeds", "1", "--epochs", "2", "--workers", "1"]) == 0
    for setting in SETTINGS:
        again = runs.load(demo.folder(tmp_path / "d", setting, 0))
        assert again.test == results[setting][0].test


def test_the_report_is_one_file_with_every_figure_in_words_and_nothing_from_outside(finished):
    out, results = finished
    page = (out / "report.html").read_text()
    assert not re.search(r"""(src|href)=["'](?!data:)""", page)
    assert "@import" not in page and "url(" not in page
    alternatives = re.findall(r'<img alt="([^"]+)"', page)
    assert len(alternatives) == len(report.figures(results, demo.record(results))) == 5
    for row in demo.table(demo.record(results)):
        for cell in report.cells(row):
            assert cell in page


def test_the_finding_follows_the_numbers(finished):
    rows = demo.table(demo.record(finished[1]))
    rows = {LABELLED[row.arm]: row for row in rows}
    mutual = rows[Setting("mutual", 1)]

    def sentence(metric, **changes):
        value = mutual.values[metric]
        value = value._replace(difference=value.difference._replace(**changes))
        return report.finding([rows[BASELINE], mutual._replace(values={**mutual.values, metric: value})])[0]

    for gain, words in [(0.02, "accuracy is higher"), (-0.02, "accuracy is lower"), (0.001, "accuracy shows no clear")]:
        assert words in sentence("top1", difference=gain, half_width=0.01)
    calm = sentence("nll", difference=-0.05, half_width=0.01, seeds=5)
    assert "NLL, which punishes false certainty, is lower (\u22120.050 ± 0.010 nats, 5 seeds)" in calm


def test_a_second_demo_replaces_the_first(finished):
    out, _ = finished
    before = (out / "report.html").read_bytes()
    assert main(["demo", "--out", str(out), "--seeds", "2", "--epochs", "1", "--workers", "2"]) == 0
    assert (out / "report.html").read_bytes() != before
    assert len(runs.load(demo.folder(out, BASELINE, 0)).epochs) == 1
