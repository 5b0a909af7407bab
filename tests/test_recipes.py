"""Recipes are checked when they are made; schedules are what they say."""

import math

import pytest

from dml_teach.errors import ConfigError
from dml_teach.recipes import CLASSROOM, PAPER_CIFAR100, RECIPES, by_name, learning_rate


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
        ("augment", "yes"),
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


def test_recipes_are_found_by_name_and_unknown_ones_are_refused():
    assert all(by_name(name).name == name for name in RECIPES)
    with pytest.raises(ConfigError, match="choose one of"):
        by_name("papers")
