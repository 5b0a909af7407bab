"""Learning settings beyond two plain peers: each is a topology, a named loss or a kind of data, for one trainer."""

import itertools

import pytest
import torch
import torch.nn.functional as F

from dml_teach import losses, models, runs, topology
from dml_teach.cli import main
from dml_teach.cohort import Cohort, Peer
from dml_teach.data import labels
from dml_teach.errors import ConfigError
from dml_teach.models import NAMES
from dml_teach.peer import Echo
from dml_teach.trainer import prepare, trained_network
from tests.conftest import striped
from tests.resuming import RECIPE, begin

SMOKE = ["--recipe", "smoke", "--subset", "50", "--quiet", "--device", "cpu", "--epochs", "1"]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


# --- partners ---


def test_a_drawn_partner_is_one_of_the_teachers_and_on_average_the_topology():
    matrix = topology.validate([[0, 0.5, 0.5], [0.2, 0, 0.8], [0, 0, 0]])
    draws = torch.stack([topology.draw_partners(matrix, generator(seed)) for seed in range(2000)])
    assert set(draws.unique().tolist()) == {0.0, 1.0}
    assert (draws[:, :2].sum(dim=2) == 1).all() and (draws[:, 2] == 0).all()
    assert (draws.mean(dim=0) - matrix).abs().max() < 0.04


def test_with_one_partner_every_step_has_another_topology(sets, tmp_path, monkeypatch):
    seen, original = [], Cohort.step

    def step(self, *batch):
        seen.append(self.topology.clone())
        return original(self, *batch)

    monkeypatch.setattr(Cohort, "step", step)
    run = begin(tmp_path / "run", sets, peers=("small",) * 4, partners="one", checkpoint_seconds=None)
    assert all(matrix.sum() == 4 and (matrix > 0).sum() == 4 for matrix in seen)
    assert any(not torch.equal(a, b) for a, b in itertools.pairwise(seen))
    assert run.config["topology"] == topology.mutual(4).tolist()


# --- labels ---


def test_hidden_labels_leave_the_same_share_of_every_class():
    data = striped(90, seed=1)
    hidden = labels.hide(data, 0.2)
    left = hidden.labels[hidden.labels >= 0]
    assert left.bincount().tolist() == [6, 6, 6]
    assert torch.equal(left, data.labels[hidden.labels >= 0]) and torch.equal(hidden.images, data.images)
    assert torch.equal(labels.hide(data, 1.0).labels, data.labels)


def test_too_small_a_share_of_labels_is_refused():
    with pytest.raises(ConfigError, match="labelled"):
        labels.hide(striped(90, seed=1), 0.001)


@pytest.mark.parametrize("share", [0.0, 0.4, 0.99])
def test_label_noise_makes_exactly_its_share_of_labels_wrong(share):
    data = striped(90, seed=1)
    noisy = labels.corrupt(data, share, generator())
    assert (noisy.labels != data.labels).sum() == round(share * 90)
    assert noisy.labels.min() >= 0 and noisy.labels.max() < data.classes


def test_wrong_labels_fall_on_all_other_classes_alike():
    data = striped(3000, seed=1, classes=5)
    noisy = labels.corrupt(data, 0.5, generator())
    counts = ((noisy.labels - data.labels) % 5).bincount(minlength=5)
    assert counts[0] == 1500 and (counts[1:] - 375).abs().max() < 80


def test_noise_and_hiding_reach_the_training_images_alone_and_follow_the_seed():
    data, recipe = striped(90, seed=1), RECIPE.with_(label_noise=0.5, labelled=0.5)
    (first, probe), (again, _), (other, _) = (prepare(data, recipe, seed, None) for seed in (0, 0, 1))
    clean, clean_probe = prepare(data, RECIPE, 0, None)
    assert torch.equal(first.labels, again.labels) and not torch.equal(first.labels, other.labels)
    assert torch.equal(probe.labels, clean_probe.labels) and torch.equal(first.images, clean.images)
    known = first.labels >= 0
    assert known.sum() == 30 and (first.labels[known] != clean.labels[known]).any()


def test_an_image_without_a_label_costs_nothing_but_is_mimicked_on():
    nets = [models.build("small", 3, channels=1, generator=generator(seed)) for seed in range(2)]
    peers = [Peer(net, torch.optim.SGD(net.parameters(), lr=0.0)) for net in nets]
    data = striped(12, seed=1)
    images, known = data.images.float() / 255, data.labels.clone()
    known[4:] = labels.HIDDEN
    report = Cohort(peers, topology.mutual(2)).step(images, known)
    logits = [net(images).detach() for net in nets]
    for k in range(2):
        assert report.supervised[k].item() == pytest.approx(F.cross_entropy(logits[k][:4], known[:4]).item(), rel=1e-5)
        assert report.mimicry[k].item() == pytest.approx(losses.mimicry(logits[k], logits[1 - k]).item(), rel=1e-5)
        right = (logits[k][:4].argmax(1) == known[:4]).float().mean().item()
        assert report.top1[k].item() == pytest.approx(right)


def test_a_batch_without_any_label_costs_nothing_and_moves_nothing_alone():
    logits = torch.randn(4, 3, generator=generator(), requires_grad=True)
    loss = losses.cross_entropy(logits, torch.full((4,), -1))
    loss.backward()
    assert loss.item() == 0 and (logits.grad == 0).all()


def test_an_epochs_means_are_over_the_images_that_have_a_label(sets, tmp_path, monkeypatch):
    """Against the same means taken image by image: batches differ in how many labels they have."""
    told, original = [], Cohort.step

    def step(self, images, known):
        report = original(self, images, known)
        told.append((report.supervised, report.mimicry, report.total, report.top1, (known >= 0).sum(), len(known)))
        return report

    monkeypatch.setattr(Cohort, "step", step)
    run = begin(tmp_path / "run", sets, labelled=0.15, epochs=1, batch_size=7, checkpoint_seconds=None)
    for k in range(2):
        labelled, everyone = sum(t[4] for t in told), sum(t[5] for t in told)
        slow = {
            "supervised": sum(t[0][k] * t[4] for t in told) / labelled,
            "mimicry": sum(t[1][k] * t[5] for t in told) / everyone,
            "total": sum(t[2][k] * t[5] for t in told) / everyone,
            "train_top1": sum(t[3][k] * t[4] for t in told) / labelled,
        }
        for name, value in slow.items():
            assert run.epochs[0][name][k] == pytest.approx(value.item(), rel=1e-5)
    assert len({int(t[4]) for t in told}) > 1


# --- features ---


def test_feature_distance_is_the_weighted_mean_square_and_no_gradient_reaches_the_peers():
    features = [torch.randn(4, 6, generator=generator(seed), requires_grad=True) for seed in range(3)]
    row = torch.tensor([0, 0.25, 0.75])
    distance = losses.feature_distance(features[0], features, row)
    slow = sum(
        float(row[l]) * (features[0][i, d] - features[l][i, d]).item() ** 2 / 24
        for l in range(3)
        for i in range(4)
        for d in range(6)
    )
    assert distance.item() == pytest.approx(slow, rel=1e-5)
    distance.backward()
    expected = sum(float(row[l]) * 2 * (features[0] - features[l]).detach() / 24 for l in range(3))
    torch.testing.assert_close(features[0].grad, expected)
    assert features[1].grad is None and features[2].grad is None


def test_the_feature_loss_enters_the_total_with_its_weight_and_moves_the_body():
    def peers(weight):
        nets = [models.build("small", 3, channels=1, generator=generator(seed)) for seed in range(2)]
        return [Peer(net, torch.optim.SGD(net.parameters(), lr=0.1), feature_weight=weight) for net in nets]

    data = striped(12, seed=1)
    images = data.images.float() / 255
    plain, matched = peers(0.0), peers(0.5)
    features = [peer.network.features(images).detach() for peer in matched]
    reports = [Cohort(pair, topology.mutual(2)).step(images, data.labels) for pair in (plain, matched)]
    distance = (features[0] - features[1]).square().mean()
    torch.testing.assert_close(reports[1].feature, distance.expand(2), rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(reports[1].total, reports[0].total + 0.5 * distance, rtol=1e-5, atol=1e-6)
    assert (reports[0].feature == 0).all()
    first = [next(pair[0].network.parameters()) for pair in (plain, matched)]
    assert not torch.equal(*first)


def test_features_of_unequal_width_and_sequential_order_are_refused():
    nets = [models.build(name, 3, channels=1, generator=generator()) for name in ("small", "mobilenet")]
    peers = [Peer(net, torch.optim.SGD(net.parameters(), lr=0.1), feature_weight=1.0) for net in nets]
    data = striped(12, seed=1)
    with pytest.raises(ConfigError, match="features of 64 and 1024 numbers"):
        Cohort(peers, topology.mutual(2)).step(data.images.float(), data.labels)
    with pytest.raises(ConfigError, match="simultaneous"):
        Cohort(peers, topology.mutual(2), order="sequential")
    stranger = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(144, 3))
    odd = Peer(stranger, torch.optim.SGD(stranger.parameters(), lr=0.1), feature_weight=1.0)
    with pytest.raises(ConfigError, match="Sequential shows no features"):
        Cohort([odd], topology.independent(1))


# --- moving average, self-distillation, ensembles ---


def test_with_a_moving_average_the_runs_weights_are_the_average(sets, tmp_path):
    plain, averaged = (begin(tmp_path / str(ema), sets, ema=ema, checkpoint_seconds=None) for ema in (0.0, 0.9))
    assert plain.curve("total").equal(averaged.curve("total"))  # training itself is the same
    first, second = plain.weights(0), averaged.weights(0)
    assert first.keys() == second.keys() and not torch.equal(first["head.weight"], second["head.weight"])
    assert plain.epochs[0]["top1"] != averaged.epochs[0]["top1"] or plain.test["nll"] != averaged.test["nll"]


def test_an_echo_must_echo_somebody_who_learns(sets, tmp_path):
    for peers in (("small", Echo(1)), ("small", Echo(5))):
        with pytest.raises(ConfigError, match="peer 1 echoes peer"):
            begin(tmp_path / "run", sets, peers=peers, matrix=topology.self_taught(1))


def test_the_command_trains_a_network_that_learns_from_itself(tmp_path):
    out = str(tmp_path / "self")
    assert main(["train", "bundled", *SMOKE, "--topology", "self", "--peers", "small", "--augment", "--out", out]) == 0
    run = runs.load(out)
    assert run.learning == [0] and run.config["peers"][1] == {**run.config["peers"][0], "frozen": True, "echo": 0}
    assert run.curve("mimicry")[0, 0] > 0


def test_the_command_takes_an_ensemble_of_teachers(tmp_path):
    teachers = str(tmp_path / "teachers")
    assert main(["train", "bundled", *SMOKE, "--topology", "independent", "--out", teachers]) == 0
    told = ["--topology", "one-way", "--teacher", teachers, "--teacher", f"{teachers}:1", "--peers", "small"]
    assert main(["train", "bundled", *SMOKE, *told, "--out", str(tmp_path / "student")]) == 0
    run = runs.load(tmp_path / "student")
    assert run.config["topology"][0] == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3]) and run.learning == [0]
    taught, teacher = run.weights(3), trained_network(runs.load(teachers), 1).state_dict()
    assert all(torch.equal(taught[name], value) for name, value in teacher.items())


# --- every network, every setting from the command line ---


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_every_network_takes_a_real_step_beside_a_peer(name, precision, tmp_path):
    data = striped(6, seed=1, channels=3)
    run = begin(
        tmp_path / "run", (data, striped(2, seed=2, channels=3)), peers=(name, "small"), precision=precision, epochs=1,
        batch_size=4, probe_images=2, checkpoint_seconds=None,
    )  # fmt: skip
    assert run.test is not None and all(0 < loss < 20 for loss in run.epochs[0]["total"])
    assert run.config["precision"] == precision


def test_every_field_of_a_recipe_is_an_option_with_help(capsys):
    assert main(["train", "--help"]) == 0
    printed = capsys.readouterr().out
    for field in vars(RECIPE):
        assert field == "name" or f"--{field.replace('_', '-')}" in printed
    assert "exponential moving average" in " ".join(printed.split())


def test_options_reach_the_recipe(tmp_path):
    told = ["--schedule", "constant", "--ema", "0.5", "--labelled", "0.5", "--no-augment", "--precision", "bf16"]
    assert main(["train", "bundled", *SMOKE, *told, "--out", str(tmp_path / "run")]) == 0
    recipe = runs.load(tmp_path / "run").config["recipe"]
    assert [recipe[name] for name in ("schedule", "ema", "labelled", "augment", "precision")] == [
        "constant", 0.5, 0.5, False, "bf16"
    ]  # fmt: skip
