"""Retrieval on the command line: from drawn people to the table in every convention."""

import functools
import inspect

import pytest
import torch

from dml_teach import reid, runs, scores
from dml_teach.cli import main
from dml_teach.data import market1501, sets, tiny_market
from dml_teach.evaluation import concatenate, embed
from dml_teach.trainer import trained_network
from tests.resuming import Killed

CPU = torch.device("cpu")
SMOKE = ["--epochs", "1", "--probe-images", "4", "--batch-size", "8", "--quiet", "--device", "cpu"]


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """Twelve people, as the command line finds them."""
    folder = tmp_path_factory.mktemp("tiny") / "market"
    settings = {"identities": 6, "test_identities": 6, "cameras": 3}
    tiny_market.load(folder, **settings)
    return folder, lambda root, _: tiny_market.load(root or folder, **settings)


@pytest.fixture
def drawn(people, monkeypatch):
    monkeypatch.setitem(sets.FACTS, "tiny-market", sets.FACTS["tiny-market"]._replace(images=36, load=people[1]))
    return people[0]


@pytest.fixture
def run(drawn, tmp_path, capsys):
    assert main(["train", "tiny-market", *SMOKE, "--out", str(tmp_path / "run")]) == 0
    capsys.readouterr()
    return runs.load(tmp_path / "run")


def test_training_prints_map_of_each_peer_and_of_both_together(drawn, tmp_path, capsys):
    assert main(["train", "tiny-market", *SMOKE, "--out", str(tmp_path / "run")]) == 0
    run, printed = runs.load(tmp_path / "run"), capsys.readouterr().out
    assert "18 queries in a gallery of 36 images" in printed
    assert f"peer 1 small_reid     mAP {100 * run.test['mAP'][1]:5.2f} %" in printed
    assert f"concatenated          mAP {100 * run.test['ensemble_mAP']:5.2f} %" in printed


def test_the_table_has_single_networks_and_the_ensemble_in_every_convention(run, capsys):
    assert main(["reid", str(run.folder), "--device", "cpu"]) == 0
    printed = capsys.readouterr().out
    _, test = sets.load("tiny-market")
    embeddings = [embed(trained_network(run, k), test, CPU) for k in (0, 1)]
    people = (test.query.identities, test.gallery.identities, test.query.cameras, test.gallery.cameras)
    lines = [line for line in printed.splitlines()[:6] if " single " in line or "2 concatenated" in line]
    assert [line.split()[0] for line in lines] == ["peer", "peer", "2"]
    for line, each in zip(lines, [*embeddings, concatenate(embeddings)], strict=True):
        wanted = [reid.evaluate(*each, *people, ap=ap, denominator=d).mAP for ap, d in scores.CONVENTIONS]
        assert [float(cell) for cell in line.split()[-8:-4]] == pytest.approx([100 * x for x in wanted], abs=0.006)


def test_the_table_repeats_the_runs_own_numbers(run):
    _, test = sets.load("tiny-market")
    rows = scores.rows(run, test, rerank=False, device=CPU)
    assert [row.mAP["sum", "valid"] for row in rows[:2]] == pytest.approx(run.test["mAP"], abs=1e-4)
    assert rows[2].mAP["trapezoid", "valid"] == pytest.approx(run.test["ensemble_mAP_trapezoid"], abs=1e-4)
    assert [row.networks for row in rows] == [1, 1, 2]


def test_reranking_adds_a_row_for_each(run, capsys):
    assert main(["reid", str(run.folder), "--rerank", "--device", "cpu"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("re-ranked") == 3
    _, test = sets.load("tiny-market")
    query, gallery = embed(trained_network(run, 0), test, CPU)
    people = (test.query.identities, test.gallery.identities, test.query.cameras, test.gallery.cameras)
    wanted = reid.evaluate_distances(reid.rerank(query, gallery), *people).mAP
    row = scores.rows(run, test, rerank=True, device=CPU)[3]
    assert row.reranked and row.mAP["sum", "valid"] == pytest.approx(wanted, abs=1e-9)


def test_a_query_without_a_match_counts_under_all_alone(run, monkeypatch):
    _, test = sets.load("tiny-market")
    test.query.identities[0] = 999
    (first, *_) = scores.rows(run, test, rerank=False, device=CPU)
    assert first.mAP["sum", "all"] == pytest.approx(first.mAP["sum", "valid"] * 17 / 18)


def test_runs_that_were_not_tested_by_retrieval_are_refused(tmp_path, capsys):
    arguments = ["train", "bundled", "--recipe", "smoke", "--subset", "50", "--epochs", "1", "--quiet"]
    assert main([*arguments, "--out", str(tmp_path / "r"), "--device", "cpu"]) == 0
    assert main(["reid", str(tmp_path / "r")]) == 2
    assert "not by retrieval" in capsys.readouterr().err


def test_runs_that_are_not_finished_are_refused(run, capsys):
    lines = (run.folder / "metrics.jsonl").read_text().splitlines()
    (run.folder / "metrics.jsonl").write_text("\n".join(lines[:-1]) + "\n")
    assert main(["reid", str(run.folder)]) == 2
    assert "dml-teach resume" in capsys.readouterr().err


def test_another_gallery_is_refused(run, tmp_path, monkeypatch, capsys):
    other = tiny_market.load(tmp_path / "other", identities=6, test_identities=3, cameras=3)
    monkeypatch.setitem(sets.FACTS, "tiny-market", sets.FACTS["tiny-market"]._replace(load=lambda *_: other))
    assert main(["reid", str(run.folder)]) == 2
    assert "18 + 36 images" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["train", "market1501"], "dml-teach data market1501 --from"),
        (["train", "omniglot"], "omniglot_small_32.npz"),
        (["data", "market1501", "--from", "nowhere"], "nowhere"),
        (["data", "cifar100", "--from", "nowhere"], "market1501"),
        (["train", "tiny-market", "--resize", "64"], "resize"),
        (["train", "tiny-market", "--resize", "0x32"], "resize"),
    ],
)
def test_data_that_are_not_there_get_one_line_with_the_way_out(arguments, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DML_TEACH_DATA", str(tmp_path))
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("data", "recipe", "says"),
    [
        ("tiny-market", "retrieval", "small_reid"),
        ("omniglot", "retrieval", "545 images of omniglot"),
        ("market1501", "paper-market", "126 epochs of 796 steps"),
        ("market1501", "official-market", "label_smoothing  0.1            the paper's code"),
    ],
)
def test_every_data_set_has_a_plan_that_needs_no_data(data, recipe, says, capsys):
    assert main(["train", data, "--recipe", recipe, "--dry-run"]) == 0
    assert says in capsys.readouterr().out


def test_what_is_known_of_the_retrieval_sets_is_so(shared):
    facts = sets.FACTS["omniglot"]
    train, _ = sets.load("omniglot", shared / "data" / "omniglot")
    assert facts[:6] == ("omniglot", *train.images.shape, train.classes)
    usual = {name: each.default for name, each in inspect.signature(tiny_market.load).parameters.items()}
    settings = tiny_market.Settings(**{name: usual[name] for name in tiny_market.Settings._fields}).expected()
    facts = sets.FACTS["tiny-market"]
    assert facts[2:5] == (3, *usual["size"])
    assert (facts.images, facts.classes) == (settings.training, settings.training_ids)
    facts = sets.FACTS["market1501"]
    assert (facts.images, facts.classes) == (12_936, 751)


def test_a_copy_is_checked_and_prepared_and_what_was_found_is_said(drawn, tmp_path, monkeypatch, capsys):
    """With twelve people in place of 1 501, as nobody may hand on the real ones."""
    expected = tiny_market.Settings(0, 6, 6, 3, 2, 1.0, (64, 32)).expected()
    monkeypatch.setenv("DML_TEACH_DATA", str(tmp_path))
    monkeypatch.setattr(market1501, "prepare", functools.partial(market1501.prepare, expected=expected))
    assert main(["data", "market1501", "--from", str(drawn)]) == 0
    printed = capsys.readouterr().out
    assert "bounding_box_train     36 images,    6 people, 3 cameras" in printed
    assert "Next: dml-teach train market1501" in printed
    train, _ = market1501.load(expected=expected)
    assert train.images.shape == (36, 3, 128, 64)


def test_an_interrupted_run_finds_its_people_again_by_name(run, drawn, stop_at, tmp_path, capsys):
    arguments = ["train", "tiny-market", *SMOKE, "--out", str(tmp_path / "cut")]
    stop_at(3)
    with pytest.raises(Killed):
        main(arguments)
    stop_at(0)
    assert main(["resume", str(tmp_path / "cut"), "--quiet"]) == 0
    assert "concatenated" in capsys.readouterr().out
    assert runs.load(tmp_path / "cut").test == run.test


def test_doctor_says_where_the_retrieval_sets_are(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DML_TEACH_DATA", str(tmp_path))
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    assert "is drawn on first use" in printed and "data market1501 --from" in printed
    (tmp_path / "market1501-128x64").mkdir()
    (tmp_path / "omniglot_small_32.npz").touch()
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    assert str(tmp_path / "market1501-128x64") in printed and str(tmp_path / "omniglot_small_32.npz") in printed
