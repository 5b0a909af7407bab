"""Recipes are checked when they are made; schedules are what they say."""

import math

import pytest
import torch

from dml_teach import cohort, losses, recipes
from dml_teach.errors import ConfigError
from dml_teach.recipes import (
    CLASSROOM,
    PAPER_CIFAR100,
    RECIPES,
    build_optimizer,
    by_name,
    learning_rate,
    mimicry_weight,
)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("epochs", 1.5),
        ("batch_size", -1),
        ("probe_images", 0),
        ("learning_rate", 0.0),
        ("learning_rate", math.nan),
        ("learning_rate", "fast"),
        ("momentum", 1.0),
        ("momentum", 0.0),
        ("weight_decay", -1e-4),
        ("temperature", 0.0),
        ("temperature", math.inf),
        ("mimicry_weight", -1.0),
        ("label_weight", math.nan),
        ("schedule", "linear"),
        ("order", "random"),
        ("optimizer", "lion"),
        ("second_moment", 1.0),
        ("label_smoothing", 1.0),
        ("mimicry", "max"),
        ("warmup_epochs", -1.0),
        ("augment", "yes"),
        ("crops", 1),
        ("resize", "64"),
        ("resize", "64x0"),
        ("resize", "64x32,"),
        ("resize", 64),
    ],
)
def test_a_wrong_value_is_refused_with_its_field(field, value):
    with pytest.raises(ConfigError, match=field):
        CLASSROOM.with_(**{field: value})


def test_with_changes_what_is_given_and_nothing_else():
    changed = CLASSROOM.with_(epochs=3, temperature=None)
    assert changed.epochs == 3 and changed.temperature == CLASSROOM.temperature
    assert changed.with_(epochs=CLASSROOM.epochs) == CLASSROOM


def test_the_papers_rate_is_divided_by_ten_every_sixty_epochs():
    rates = [learning_rate(PAPER_CIFAR100, epoch) for epoch in (0, 59.99, 60, 119, 120, 180, 199)]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 1e-4, 1e-4])


def test_the_papers_recipe_has_the_papers_values():
    assert (PAPER_CIFAR100.epochs, PAPER_CIFAR100.batch_size, PAPER_CIFAR100.momentum) == (200, 64, 0.9)
    assert PAPER_CIFAR100.temperature == PAPER_CIFAR100.mimicry_weight == 1.0
    assert PAPER_CIFAR100.augment


def test_cosine_falls_from_the_rate_to_zero():
    recipe = CLASSROOM.with_(schedule="cosine", learning_rate=0.2, epochs=10)
    assert learning_rate(recipe, 0) == 0.2
    assert learning_rate(recipe, 5) == pytest.approx(0.1)
    assert learning_rate(recipe, 10) == pytest.approx(0)


def test_one_cycle_rises_from_a_25th_and_falls_to_zero_as_pytorchs_does():
    recipe = CLASSROOM.with_(schedule="one-cycle", learning_rate=0.2, epochs=10)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 0.2, total_steps=101, final_div_factor=1e12, pct_start=30 / 100 + 1 / 101
    )
    assert learning_rate(recipe, 0) == pytest.approx(0.2 / 25) == pytest.approx(theirs.get_last_lr()[0])
    assert learning_rate(recipe, 3) == pytest.approx(0.2)
    assert learning_rate(recipe, 6.5) == pytest.approx(0.1)
    assert learning_rate(recipe, 10) == pytest.approx(0)


def test_recipes_are_found_by_name_and_unknown_ones_are_refused():
    assert all(by_name(name).name == name for name in RECIPES)
    with pytest.raises(ConfigError, match="choose one of"):
        by_name("papers")


def test_warm_up_lets_the_mimicry_grow_to_its_full_weight():
    recipe = CLASSROOM.with_(mimicry_weight=2.0, warmup_epochs=4.0)
    assert [mimicry_weight(recipe, epoch) for epoch in (0, 1, 2, 4, 9)] == [0, 0.5, 1, 2, 2]
    assert mimicry_weight(CLASSROOM, 0) == CLASSROOM.mimicry_weight


def test_names_of_recipes_are_those_of_losses_and_cohorts():
    assert set(losses.MIMICRY) == set(recipes.MIMICRY)
    assert cohort.ORDERS == recipes.ORDERS


def test_optimizers_are_nesterov_sgd_and_adam_with_the_recipes_numbers():
    weight = torch.nn.Parameter(torch.ones(2))
    sgd = build_optimizer(CLASSROOM.with_(weight_decay=0.1, learning_rate=0.2), [weight])
    assert isinstance(sgd, torch.optim.SGD)
    assert (sgd.defaults["lr"], sgd.defaults["momentum"], sgd.defaults["weight_decay"]) == (0.2, 0.9, 0.1)
    assert sgd.defaults["nesterov"]
    adam = build_optimizer(CLASSROOM.with_(optimizer="adam", momentum=0.5, second_moment=0.99), [weight])
    assert isinstance(adam, torch.optim.Adam) and adam.defaults["betas"] == (0.5, 0.99)
