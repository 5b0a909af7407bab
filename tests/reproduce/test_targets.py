"""The targets as data: nothing that is published is lost, and every arm is what its lines say."""

import pytest
import torch

from dml_teach import published
from dml_teach.data import sets
from dml_teach.errors import ConfigError
from dml_teach.experiments import Experiment
from dml_teach.reproduce import setups, table, targets

NUMBERS = published.read()
each_target = pytest.mark.parametrize("target", targets.TARGETS)
each_scale = pytest.mark.parametrize("scale", setups.SCALES)

SHOWN = {
    "table1": ("parameters", "CIFAR-100"),
    "table2": ("pairs", "CIFAR-100"),
    "cifar10": ("cifar10", "CIFAR-10"),
    "table4": ("distillation", "CIFAR-100"),
    "fig2": ("market-cohorts", "Market-1501"),
    "fig3": ("analyses", ""),
    "fig4": ("market-cohorts", "Market-1501"),
    "market": ("distillation", "Market-1501"),
}
"""Which of the paper's published tables each target shows."""
IN_ANOTHER = {
    "fig2": lambda n: (
        n.setting == "DML_e" or (n.setting, n.networks) == ("mutual", "MobileNet × 1")
    ),  # one peer is alone
    "fig4": lambda n: n.networks != "MobileNet × 5" or n.setting == "independent",
}


def experiment(target: str, scale: str) -> Experiment:
    found = targets.plan(target, scale).experiment
    assert found is not None
    return found


TRAINED = [target for target in targets.TARGETS if target != "table1"]
each_trained = pytest.mark.parametrize("target", TRAINED)


@each_target
@each_scale
def test_every_number_of_the_paper_stands_in_its_target(target, scale):
    name, data = SHOWN[target]
    skip = IN_ANOTHER.get(target, lambda number: False)
    wanted = [n for n in NUMBERS if n.tier == "paper" and n.table == name and data in ("", n.data) and not skip(n)]
    assert wanted
    shown = {row[3] for row in table.rows(targets.plan(target, scale), None, NUMBERS)}
    values = {value for cell in shown for value in cell.removesuffix(" million").split(" / ")}
    assert [n for n in wanted if n.text not in values] == []


@each_trained
@each_scale
def test_every_line_names_an_arm_that_is_trained_or_says_why_not(target, scale):
    plan = targets.plan(target, scale)
    arms = {arm.name: len(arm.peers) for arm in plan.experiment.arms}
    arms |= {
        f"{arm.name}-{k}": k for arm in plan.experiment.arms if arm.every_size for k in range(1, len(arm.peers) + 1)
    }
    for line in plan.lines:
        assert (line.ours is None) == bool(line.why)
        for source in filter(None, (line.ours, line.baseline)):
            assert all(name in arms and (source.peer is None or source.peer < arms[name]) for name in source.arms)


@each_trained
@each_scale
def test_a_line_and_its_baseline_are_of_the_same_first_weights(target, scale):
    """A pair of runs with one seed is paired only where the network is the same kind at the same place."""
    plan = targets.plan(target, scale)
    arms = {arm.name: arm for arm in plan.experiment.arms}
    for line in plan.lines:
        if line.ours is None or line.baseline is None or line.ours.peer is None:
            continue
        assert line.ours.peer == line.baseline.peer
        kinds = [arms[source.arms[0]].learners[source.peer] for source in (line.ours, line.baseline)]
        assert kinds[0] == kinds[1]


@each_scale
@pytest.mark.parametrize("target", ["table4", "market"])
def test_no_student_starts_from_the_weights_of_its_teacher(target, scale):
    found = experiment(target, scale)
    taught = [arm for arm in found.arms if arm.teachers]
    assert taught
    for arm in taught:
        assert arm.peers and 0 not in found.teachers_of(arm)  # the student is learner 0
        assert found.matrix(arm)[0].sum() == pytest.approx(1) and not found.matrix(arm)[1:].any()


@each_trained
@each_scale
def test_the_networks_can_be_built_for_the_images(target, scale):
    found = experiment(target, scale)
    assert found.data in sets.NAMES
    for arm in found.arms:
        assert len(arm.learners) == len(arm.peers) and torch.isfinite(found.matrix(arm)).all()


def test_at_paper_scale_the_recipe_is_the_papers_and_all_images_are_used():
    for target in TRAINED:
        found = experiment(target, "paper")
        assert found.subset is None and found.recipe.name in ("paper", "paper-market")
        assert {name for arm in found.arms for name in arm.peers} <= {
            *("resnet32", "mobilenet", "wrn28_10", "inception_v1")
        }


def test_arms_that_two_targets_share_are_the_same():
    for scale in setups.SCALES:
        known: dict[tuple[str, str], tuple] = {}
        for target in TRAINED:
            found = experiment(target, scale)
            for arm in found.arms:
                made = (found.data, found.recipe, found.subset, arm)
                assert known.setdefault((found.name, arm.name), made) == made


@pytest.mark.parametrize(
    ("target", "scale", "message"),
    [("table3", "smoke", "target 'table3' is not known"), ("table2", "huge", "scale 'huge' is not known")],
)
def test_an_unknown_name_is_refused_with_those_there_are(target, scale, message):
    with pytest.raises(ConfigError, match=message):
        targets.plan(target, scale)
